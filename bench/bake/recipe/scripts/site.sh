#!/bin/sh
set -eu
printf 'hello from the bench\n' >/srv/bench/index.html
cat >/etc/nginx/sites-available/bench <<'SITE'
server {
  listen 8080 default_server;
  root /srv/bench;
}
SITE
ln -sf ../sites-available/bench /etc/nginx/sites-enabled/bench
nginx -t
