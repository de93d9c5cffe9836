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
name=app
if ! find_account passwd "$name"; then
  if have useradd; then
    useradd -m "$name"
    usermod -p '*' "$name"
  else
    adduser -D "$name"
    echo "$name:*" | chpasswd -e
  fi
  find_account passwd "$name" || fail "there is no user $name although it was made"
fi
