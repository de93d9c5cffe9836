#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
have ansible-playbook || fail 'ansible-playbook is not on this host: remove install: false, or install it in a step that this one needs'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export ANSIBLE_HOME="$work" ANSIBLE_LOCAL_TEMP="$work/local" ANSIBLE_REMOTE_TEMP="$work/remote"
export ANSIBLE_NOCOLOR=1 ANSIBLE_RETRY_FILES_ENABLED=0 ANSIBLE_LOCALHOST_WARNING=0
export ANSIBLE_PYTHON_INTERPRETER=auto_silent PYTHONDONTWRITEBYTECODE=1
ansible-playbook --inventory localhost, --connection local 'site.yml'
