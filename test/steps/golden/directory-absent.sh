#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
path='/srv/app'
if [ -e "$path" ] && [ ! -d "$path" ]; then fail "will not remove $path: it is no folder"; fi
rm -rf "$path"
