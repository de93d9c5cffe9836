#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
PATH=$PATH:/opt/puppetlabs/bin
have puppet || fail 'puppet is not on this host: remove install: false, or install it in a step that this one needs'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export FACTER_role='it'\''s'
export FACTER_port='80'
status=0
puppet apply --detailed-exitcodes --color=false --confdir "$work/conf" --vardir "$work/var" --rundir "$work/run" \
  --logdir "$work/log" --modulepath "$PWD"/'modules/':/etc/puppet/code/modules:/usr/share/puppet/modules:/etc/puppetlabs/code/modules:/opt/puppetlabs/puppet/modules --hiera_config "$PWD"/'hiera.yaml' \
  'manifests' || status=$?
case $status in
0 | 2) ;;
4 | 6) fail 'Puppet could not bring every resource to what it should be' ;;
*) fail "Puppet failed with exit status $status" ;;
esac
