#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# shellcheck disable=SC2034  # not every step reads all of it
ID='' ID_LIKE='' VERSION_CODENAME='' native=''
# shellcheck disable=SC1091
if [ -r /etc/os-release ]; then . /etc/os-release; fi
case " $ID $ID_LIKE " in
*' debian '* | *' ubuntu '*) native=apt-get ;;
*' fedora '* | *' rhel '* | *' centos '* | *' amzn '*) native=dnf ;;
*suse* | *' sles '*) native=zypper ;;
*' alpine '*) native=apk ;;
esac
manager=''
for candidate in $native apt-get dnf zypper apk; do
  if [ -z "$manager" ] && have "$candidate"; then manager=$candidate; fi
done
if [ -z "$manager" ]; then fail "this step handles packages, but this host has none of apt-get, dnf, zypper, apk"; fi
update=no
export DEBIAN_FRONTEND=noninteractive ZYPP_LOCK_TIMEOUT=300
call() {
  case $manager in
  apt-get)
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Update::Error-Mode=any \
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
    ;;
  dnf) dnf -q -y --setopt=install_weak_deps=False "$@" ;;
  zypper) zypper -q --non-interactive "$@" ;;
  apk) apk -q --no-progress --wait 300 "$@" ;;
  esac
}
fetch_lists() {
  case $manager in
  dnf) manage makecache --refresh ;;
  zypper) manage refresh ;;
  *) manage update ;;
  esac
  mkdir -p /run/parbake
  echo "${PARBAKE_RUN_ID:-}" >"$stamp"
}
# In this converge; where nobody says which one it is, within ten minutes.
lists_are_fresh() {
  if [ ! -e "$stamp" ]; then return 1; fi
  if [ -n "${PARBAKE_RUN_ID:-}" ]; then
    [ "$(cat "$stamp")" = "$PARBAKE_RUN_ID" ]
  else
    [ -n "$(find "$stamp" -mmin -10)" ]
  fi
}
stamp=/run/parbake/lists.$manager most_tries=4
said=.parbake/said
mkdir -p .parbake
manage() { # VERB ARGUMENT...
  tries=1 waited=0
  trap 'cat "$said"; exit 1' HUP INT TERM
  while :; do
    status=0
    # Not through a pipe, which what a package starts would hold open.
    call "$@" >"$said" 2>&1 || status=$?
    cat "$said"
    if [ "$status" -eq 0 ]; then return 0; fi
    if [ "$waited" -lt 60 ] && grep -qi 'could not get lock\|unable to lock\|is locked by' "$said"; then
      waited=$((waited + 1))
      sleep 5
      continue
    fi
    if [ "$tries" -ge "$most_tries" ]; then fail "$manager $1 failed $tries times"; fi
    sleep "$((tries * 3))"
    tries=$((tries + 1))
    case $update:$1:$tries in
    yes:install:2 | yes:add:2) (most_tries=1 && fetch_lists) || : ;;
    esac
  done
}
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
add_source() { # FILE DESTINATION
  cmp -s "$1" "$2" 2>/dev/null || rm -f "$stamp"
  install_file "$1" "$2" root:root 0644
}
case $manager in
apt-get)
  if [ -z "$VERSION_CODENAME" ]; then fail "this host has no code name: say the suite of tools"; fi
  add_source '.parbake/tools.apt.key' '/etc/apt/keyrings/parbake-tools.gpg'
  printf '%s\n' 'Types: deb' \
    'URIs: https://tools.example/debian' \
    "Suites: $VERSION_CODENAME" \
    'Components: main' \
    'Signed-By: /etc/apt/keyrings/parbake-tools.gpg' >.parbake/tools.sources
  add_source '.parbake/tools.sources' '/etc/apt/sources.list.d/parbake-tools.sources'
  ;;
esac
set -- telnet
is_installed() {
  case $manager in
  apt-get)
    # shellcheck disable=SC2016  # dpkg-query's own form
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) in ?i*) ;; *) return 1 ;; esac
    ;;
  apk) apk info -q -e "$1" >/dev/null 2>&1 ;;
  *) rpm -q "$1" >/dev/null 2>&1 ;;
  esac
}
for name in "$@"; do
  shift
  if is_installed "$name"; then set -- "$@" "$name"; fi
done
if [ $# -gt 0 ]; then
  case $manager in
  apk) manage del "$@" ;;
  *) manage remove "$@" ;;
  esac
fi
case $manager in
apt-get) set -- nginx=1.2 libc6-dev ;;
dnf) fail "the recipe does not say what libc6-dev, musl-dev is called for $manager" ;;
zypper) fail "the recipe does not say what libc6-dev, musl-dev is called for $manager" ;;
apk) set -- nginx=1.2 musl-dev ;;
esac
if [ $# -gt 0 ]; then
  case $manager in
  apt-get) manage install --no-install-recommends --allow-downgrades "$@" ;;
  dnf) manage install "$@" ;;
  zypper) manage install --no-recommends --oldpackage "$@" ;;
  apk) manage add "$@" ;;
  esac
fi
