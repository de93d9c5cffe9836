#!/bin/sh
# bake: runs inside the VM that becomes an image. Waits for cloud-init, runs the chosen steps with the agent from the
# attached medium, seals, powers off. Each line to the host's port is one fact; the host trusts only `sealed` followed by
# a power-off.
#
# Usage: bake.sh IMAGE_ID STEPS     (STEPS comma separated)
set -u
umask 022
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

IMAGE_ID=$1
STEPS=$2
PORT=/dev/virtio-ports/parbake.0
HERE=/run/parbake-bake

tell() { printf '%s\n' "$*" >>"$PORT"; }

give_up() {
  tell "failed $*"
  sync
  systemctl poweroff --force
  exit 1
}

wait_for_cloud_init() {
  wc_left=1800
  while [ ! -e /run/cloud-init/result.json ]; do
    [ $wc_left -gt 0 ] || give_up 'cloud-init did not finish'
    wc_left=$((wc_left - 1))
    sleep 1
  done
}

main() {
  wait_for_cloud_init
  tell booted
  mkdir -p "$HERE/media"
  mount -o ro /dev/disk/by-label/PARBAKE "$HERE/media" || give_up 'the medium with the bundle cannot be mounted'
  PARBAKE_CONF=$HERE/agent.conf parbake-agent bake --steps "$STEPS" --events "$PORT" || give_up 'a step failed'
  umount "$HERE/media"
  tell sealing
  sh "$HERE/seal.sh" "$IMAGE_ID" || give_up 'the seal could not remove everything'
  sync
  tell sealed
  systemctl poweroff --force
}

main
