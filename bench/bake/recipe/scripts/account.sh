#!/bin/sh
set -eu
useradd --system --create-home --home-dir /srv/bench --shell /usr/sbin/nologin bench
install -d -o bench -g bench -m 0755 /srv/bench
