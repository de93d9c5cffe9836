#!/bin/sh
set -eu
if ! command -v apt-get >/dev/null 2>&1; then
  echo "parbake: this step installs Debian packages, but this host has no apt-get" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt() {
  tries=1
  until apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Update::Error-Mode=any \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; do
    if [ "$tries" -ge 4 ]; then
      echo "parbake: apt-get $1 failed $tries times" >&2
      return 1
    fi
    sleep "$((tries * 3))"
    tries=$((tries + 1))
  done
}
apt update
apt install --no-install-recommends -- nginx curl=7.88.1-10
