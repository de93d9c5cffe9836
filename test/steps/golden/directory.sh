#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
path='/srv/app'
make_folder() { # PATH [own: do not follow a link]
  if [ -e "$1" ] && [ ! -d "$1" ]; then fail "cannot make the folder $1: a file has this name"; fi
  umask 022
  mkdir -p "$1" || fail "cannot make the folder $1"
  chown ${2:+-h} app "$1" ||
    fail "cannot give $1 to app: is there no such user or group? Make it in a step that this one needs"
  chmod 0750 "$1"
}
make_folder "$path"
