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
update=yes
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
if ! lists_are_fresh; then fetch_lists; fi
set -- nginx
if [ $# -gt 0 ]; then
  case $manager in
  apt-get) manage install --no-install-recommends "$@" ;;
  dnf) manage install "$@" ;;
  zypper) manage install --no-recommends "$@" ;;
  apk) manage add "$@" ;;
  esac
fi
