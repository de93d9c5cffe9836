#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# One line of /etc/passwd or /etc/group, or of what stands beside them, in FOUND.
find_account() { # passwd|group NAME
  if have getent; then FOUND=$(getent "$1" "$2" || :); else FOUND=$(grep "^$2:" "/etc/$1" || :); fi
  [ -n "$FOUND" ]
}
rm -f /etc/sudoers.d/parbake-app
if ! find_account passwd app; then exit 0; fi
if have userdel; then userdel app; else deluser app; fi
