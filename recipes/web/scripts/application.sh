#!/bin/sh
set -eu
python3 -m venv --system-site-packages /opt/webapp
# Everything comes with the recipe or from the distribution, so no index is asked.
/opt/webapp/bin/pip install --quiet --no-index --no-deps --no-build-isolation --disable-pip-version-check ./app
/opt/webapp/bin/python -c 'import webapp'

install -m 0644 templates/webapp.service /etc/systemd/system/webapp.service
systemctl daemon-reload
systemctl enable --quiet webapp.service
