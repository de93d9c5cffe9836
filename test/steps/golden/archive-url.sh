#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
has_digest() { # FILE SHA256
  DIGEST=$(sha256sum "$1" 2>/dev/null) || return 1
  DIGEST=${DIGEST%% *}
  [ "$DIGEST" = "$2" ]
}
size_of() { # FILE
  if [ -e "$1" ]; then wc -c <"$1"; else echo 0; fi
}
get() { # URL FILE
  if have curl; then
    curl -q -fsSL --proto '=http,https' --connect-timeout 20 --speed-limit 1 --speed-time 60 -C - -o "$2" "$1"
  elif have wget; then
    wget -q -c -T 60 -O "$2" "$1"
  elif have python3; then
    python3 -c '
import os, shutil, sys, urllib.request
url, path = sys.argv[1:]
size = os.path.getsize(path) if os.path.exists(path) else 0
request = urllib.request.Request(url, headers={"Range": "bytes=%d-" % size} if size else {})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        with open(path, "ab" if answer.status == 206 else "wb") as file:
            shutil.copyfileobj(answer, file)
            length = answer.headers.get("Content-Length")
            if length and os.path.getsize(path) < int(length): sys.exit("the answer was cut off")
except OSError as error: sys.exit("%s" % error)
' "$1" "$2"
  else
    fail 'curl, wget or python3 is needed to fetch'
  fi
}
download() { # URL SHA256
  mkdir -p .parbake
  part=.parbake/part tries=1
  until has_digest "$part" "$2"; do
    before=$(size_of "$part")
    if get "$1" "$part"; then
      if has_digest "$part" "$2"; then break; fi
      rm -f "$part"
      if [ "$before" = 0 ]; then fail "what $1 gives has the digest $DIGEST, not $2"; fi
    elif [ "$before" != 0 ] && [ "$(size_of "$part")" -le "$before" ]; then
      # What cannot be gone on with is begun again.
      rm -f "$part"
    fi
    if [ "$tries" -ge 5 ]; then fail "$1 cannot be fetched"; fi
    sleep "$((tries * 2))"
    tries=$((tries + 1))
  done
}
download 'https://example.com/a.tar.xz' 0000000000000000000000000000000000000000000000000000000000000000
archive=$PWD/.parbake/part destination='/opt/a'
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
read_archive() {
  if have xz; then
    xz -dc <"$archive"
  elif have python3; then
    python3 -c '
import lzma, shutil, sys
with lzma.open(sys.argv[1]) as file: shutil.copyfileobj(file, sys.stdout.buffer)' "$archive"
  else
    fail 'xz is needed to unpack this archive: install it in a step that this one needs'
  fi
}
names=$(read_archive | tar -tf - 2>&1) || fail "cannot read the archive for $destination"
# Some tools show what they make of a name, and say so.
if printf '%s\n' "$names" | grep -q '^/\|^\.\.$\|^\.\./\|/\.\./\|/\.\.$\|^tar: removing'; then
  refuse 'has names that lead out of its folder'
fi
read_archive | tar -xof - || fail "cannot unpack the archive for $destination: is the disk full?"
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
chown -hR app . ||
  fail "cannot give $destination to app: is there no such user or group? Make it in a step that this one needs"
if [ ! -d "$destination" ]; then
  mkdir "$destination" || fail "cannot make the folder $destination"
  chown -h app "$destination"
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
roots=$(find . -mindepth 1 -maxdepth 1 -type d)
if [ -z "$roots" ]; then fail "the archive for $destination has nothing that strip: 1 leaves"; fi
printf '%s\n' "$roots" | while IFS= read -r root; do place "$root"; done
rm -f "$archive"
