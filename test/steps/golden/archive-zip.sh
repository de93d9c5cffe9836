#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
archive=$PWD/.parbake/content destination='/opt/a'
umask 022
mkdir -p "${destination%/*}/" || fail "cannot make the folder of $destination"
rm -rf "$destination".parbake.??????
staging=$(mktemp -d "$destination.parbake.XXXXXX") || fail "cannot write beside $destination"
trap 'rm -rf "$staging"' EXIT
trap 'exit 1' HUP INT TERM
refuse() {
  fail "the archive for $destination $*: refused"
}
# All that follows stays in there, whatever becomes of its name.
cd "$staging"
if have unzip; then
  unzip -q "$archive" || fail "cannot unpack the archive for $destination: is the disk full?"
elif have python3; then
  python3 -c '
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        path = archive.extract(entry)
        mode = entry.external_attr >> 16 & 0o777
        if mode: os.chmod(path, mode)
' "$archive" || fail "cannot unpack the archive for $destination: is the disk full?"
else
  fail 'unzip or python3 is needed to unpack this archive: install it in a step that this one needs'
fi
top=$(pwd -P)
if [ -n "$(find . ! -type f ! -type d ! -type l)" ]; then refuse 'holds devices, pipes or sockets'; fi
find . -type l | while IFS= read -r link; do
  case $(readlink "$link") in /*) refuse 'holds a link that leads out of its folder' ;; esac
  case $(readlink -f "$link") in "$top" | "$top"/*) ;; *) refuse 'holds a link that leads out of its folder' ;; esac
done
find . -type f -exec stat -c '%h %d:%i' {} + | grep -v '^1 ' | sort | uniq -c | while read -r here all _; do
  if [ "$here" != "$all" ]; then refuse 'holds a file that is also outside of its folder'; fi
done
chmod -R ug-s,go-w .
chown -hR root:root . ||
  fail "cannot give $destination to root:root: is there no such user or group? Make it in a step that this one needs"
if [ ! -d "$destination" ]; then
  mkdir "$destination" || fail "cannot make the folder $destination"
  chown -h root:root "$destination"
fi
# What is there already is replaced file by file, through a second tar, which follows no links.
place() { # FOLDER
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    name=${entry##*/}
    if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
    if [ -e "$destination/$name" ] || [ -L "$destination/$name" ]; then
      (cd "$1" && tar -cf - "./$name") | (cd "$destination" && tar -xpf -) || fail "cannot write $destination/$name"
    else
      mv "$entry" "$destination/$name"
    fi
  done
}
place .
