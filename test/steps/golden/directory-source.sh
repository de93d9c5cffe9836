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
  chown ${2:+-h} root:root "$1" ||
    fail "cannot give $1 to root:root: is there no such user or group? Make it in a step that this one needs"
  chmod 2775 "$1"
}
make_folder "$path"
install_file() { # SOURCE DESTINATION OWNER MODE
  if [ -d "$2" ]; then fail "cannot write $2: a folder has this name"; fi
  umask 022
  mkdir -p "${2%/*}/" || fail "cannot make the folder of $2"
  temporary=$(mktemp "$2.parbake.XXXXXX") || fail "cannot write $2"
  trap 'rm -f "$temporary"' EXIT
  trap 'exit 1' HUP INT TERM
  cp "$1" "$temporary" || fail "cannot write $2"
  chown -h "$3" "$temporary" ||
    fail "cannot give $2 to $3: is there no such user or group? Make it in a step that this one needs"
  chmod "$4" "$temporary"
  if [ -f "$2" ] && [ ! -L "$2" ] && [ "$(stat -c %u:%g:%a "$2")" = "$(stat -c %u:%g:%a "$temporary")" ] &&
    cmp -s "$temporary" "$2" 2>/dev/null; then
    rm -f "$temporary"
  else
    mv -f "$temporary" "$2"
  fi
}
(cd .parbake/tree && find . -type d ! -name .) | while IFS= read -r name; do
  # Who owns the folder must not lead root elsewhere.
  if [ -L "$path/${name#./}" ]; then fail "cannot make the folder $path/${name#./}: a link has this name"; fi
  make_folder "$path/${name#./}" own
done
(cd .parbake/tree && find . -type f) | while IFS= read -r name; do
  mode=0664
  if [ -x ".parbake/tree/$name" ]; then mode=0775; fi
  install_file ".parbake/tree/$name" "$path/${name#./}" root:root "$mode"
done
