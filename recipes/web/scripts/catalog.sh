#!/bin/sh
set -eu
install -d -m 0755 /srv/webapp
cc -O2 -Wall -o /usr/local/bin/build-catalog tools/catalog.c
build-catalog 8000000 >/srv/webapp/catalog.txt.new
mv /srv/webapp/catalog.txt.new /srv/webapp/catalog.txt
chmod 0644 /srv/webapp/catalog.txt
