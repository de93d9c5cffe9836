#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
service='nginx'
by_systemd() {
  systemctl daemon-reload
  systemctl cat "$service" >/dev/null 2>&1 || fail "there is no service $service: make it in a step that this one needs"
  systemctl enable --quiet "$service"
}
by_openrc() {
  [ -e "/etc/init.d/$service" ] || fail "there is no service $service: make it in a step that this one needs"
  rc-update --quiet add "$service" default
}
if [ -d /run/systemd/system ] || { have systemctl && ! have rc-service; }; then
  by_systemd
elif have rc-service; then
  by_openrc
else
  fail "this host has neither systemd nor OpenRC to care for $service"
fi
