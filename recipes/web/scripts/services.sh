#!/bin/sh
set -eu
unit=/etc/systemd/system/webapp.service
if ! cmp -s templates/webapp.service "$unit"; then
  install -m 0644 templates/webapp.service "$unit"
  systemctl daemon-reload
fi
systemctl enable --quiet webapp.service
systemctl restart webapp.service
nginx -t -q
systemctl reload-or-restart nginx.service
