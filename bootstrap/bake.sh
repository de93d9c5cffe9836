#!/bin/sh
# bake: runs inside the system that becomes an image, and does what the host asks, line by line. The host decides; what is
# known here is only how.
#
# Usage: bake.sh PORT | bake.sh IN OUT     (a virtio-serial port, or two FIFOs)
#
#   host asks         answers
#   (at start)        booted                  cloud-init's config stage has ended; the last one may go on
#   clock EPOCH       clock                   a system that slept in a snapshot has the wrong time
#   proxy URL|-       proxy                   where the package manager finds the host's download cache
#   run STEP          events of the agent, report JSON, then: done | failed WHY     (STEP - runs none)
#   tune NAME,…       tuning | failed WHY     goes on in the background
#   tuned             tuned | failed WHY      when that has ended
#   settle            settled                 all is written: the host may take a snapshot
#   shell TTY [ROWS COLUMNS TERM]             an interactive shell on that terminal; when it was left:
#                     shell-end
#   seal IMAGE_ID     sealed | failed WHY     and powers off at once: nothing may write to the disk after it
#   off               off                     and powers off in order
#
# What it needs lies on the medium: channel, bundle, agent.sh, agent.conf, seal.sh, tune.sh, and ready/ where the base has it.
set -u
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HERE=/run/parbake-bake
MEDIA=$HERE/media
AGENT=/usr/local/sbin/parbake-agent
APT_PROXY=/etc/apt/apt.conf.d/00parbake-bake
DPKG_CONF=/etc/dpkg/dpkg.cfg.d/00parbake-bake

# The port may be opened only once at a time: everything goes through a FIFO with one reader, in order.
tell() { printf '%s\n' "$*" >"$HERE/events"; }

open_port() { # IN OUT
  if [ "$1" = "$2" ]; then
    exec 3<>"$1" 4>&3
  else
    exec 3<"$1" 4>"$2"
  fi
  rm -f "$HERE/events"
  mkfifo "$HERE/events" || exit 1
  exec 5<>"$HERE/events"
  cat <&5 >&4 &
}

# As on a host of an image, where the agent does not wait for the last stage either; the seal does. Whoever starts this starts
# it after that stage; where systemd knows nothing of it, the end of cloud-init has to do.
wait_for_cloud_init() {
  [ "$(systemctl is-active cloud-config.service 2>/dev/null)" != active ] || return 0
  wc_left=18000
  while [ ! -e /run/cloud-init/result.json ] && [ $wc_left -gt 0 ]; do
    wc_left=$((wc_left - 1))
    sleep 0.1
  done
  [ -e /run/cloud-init/result.json ] || tell 'failed cloud-init did not finish'
}

# After a loss of power nothing of a bake is used, so dpkg need not wait for the disk after each file. The seal removes this.
hurry_dpkg() { [ ! -d "${DPKG_CONF%/*}" ] || echo force-unsafe-io >"$DPKG_CONF"; }

# The seal runs cloud-init's own clean, and to load that takes seconds where the processor is emulated: it is loaded beside the
# steps, and waits. Where a step brings another cloud-init meanwhile, or anything fails, the seal does as without it.
load_clean() {
  command -v cloud-init >/dev/null && command -v python3 >/dev/null && mkfifo "$HERE/clean" || return 0
  cat >"$HERE/clean.py" <<'END'
import os, sys
import cloudinit.cmd.clean
from cloudinit.cmd.main import main
seen = os.stat(cloudinit.cmd.clean.__file__)
words = sys.stdin.readline().split()
now = os.stat(cloudinit.cmd.clean.__file__)
if (now.st_ino, now.st_mtime_ns) != (seen.st_ino, seen.st_mtime_ns):
    sys.exit(1)
sys.argv = ["/usr/bin/cloud-init", *words]
try:
    code = main()
except SystemExit as end:
    code = end.code
with open(sys.path[0] + "/clean.code", "w") as file:
    file.write("%d\n" % (code or 0))
END
  cat >"$HERE/clean.sh" <<END
printf 'clean %s\n' "\$*" 1<>$HERE/clean
while [ ! -e $HERE/clean.end ]; do sleep 0.1; done
[ "\$(cat $HERE/clean.code 2>/dev/null)" = 0 ] || exec cloud-init clean "\$@"
END
  # Opened before there is another process: what is written to a FIFO that nobody has open is lost.
  exec 9<>"$HERE/clean"
  {
    nice -n 19 python3 "$HERE/clean.py"
    : >"$HERE/clean.end"
  } <&9 >/dev/null 2>&1 3<&- 4>&- 5>&- 9<&- &
  exec 9<&-
}

# Mounted only while it is used: a system that goes on from a snapshot finds another one in its place.
with_media() {
  wm_mounted=
  if [ ! -e "$MEDIA/agent.sh" ]; then
    mkdir -p "$MEDIA"
    mount -o ro /dev/disk/by-label/PARBAKE "$MEDIA" || return
    wm_mounted=yes
  fi
  "$@"
  wm_status=$?
  [ -z "$wm_mounted" ] || umount "$MEDIA"
  return $wm_status
}

install_agent() {
  cmp -s "$MEDIA/agent.sh" "$AGENT" || { cp "$MEDIA/agent.sh" "$AGENT.new" && chmod 755 "$AGENT.new" && mv "$AGENT.new" "$AGENT"; }
}

# A kept state may have seen a later channel: of another store, or one that was published, which this bake's own need not be.
forget_channel() { rm -f /var/lib/parbake/channel.*; }

# No step may hold the port.
run_step() { install_agent && forget_channel && PARBAKE_CONF=$MEDIA/agent.conf "$AGENT" bake --steps "$1" --events "$HERE/events" 3<&- 4>&- 5>&-; }

use_proxy() { # URL|-
  rm -f "$APT_PROXY"
  if [ "$1" != - ] && [ -d "${APT_PROXY%/*}" ]; then printf 'Acquire::http::Proxy "%s";\nAcquire::https::Proxy "DIRECT";\n' "$1" >"$APT_PROXY"; fi
}

TUNING=
# The medium may go away meanwhile.
take_tune() { cp "$MEDIA/tune.sh" "$HERE/tune.sh" && { [ ! -d "$MEDIA/ready" ] || cp -r "$MEDIA/ready" "$HERE/ready"; }; }

run_tune() {
  sh "$HERE/tune.sh" "$@"
  rt_status=$?
  rm -rf "$HERE/ready"
  return $rt_status
}

tune() { # NAME,…
  tn_names=$1
  with_media take_tune || return
  set --
  while [ -n "$tn_names" ]; do
    set -- "$@" "${tn_names%%,*}"
    case $tn_names in *,*) tn_names=${tn_names#*,} ;; *) tn_names= ;; esac
  done
  run_tune "$@" >"$HERE/tune.log" 2>&1 3<&- 4>&- 5>&- &
  TUNING=$!
}

seal() { # IMAGE_ID
  use_proxy -
  [ ! -e "$HERE/clean.sh" ] || { CLOUD_INIT_CLEAN="sh $HERE/clean.sh" && export CLOUD_INIT_CLEAN; }
  sh "$MEDIA/seal.sh" "$1" || return
  # Free blocks are dropped from the image file; an overlay has none.
  case $(findmnt -n -o FSTYPE / 2>/dev/null) in overlay) ;; *) fstrim -a ;; esac
}

open_shell() { # TTY [ROWS COLUMNS TERM]
  exec 3<&- 4>&- 5>&-
  # A session of its own gets the terminal that it opens first as its controlling one.
  # shellcheck disable=SC2016 # the inner shell's variables
  setsid sh -c '
    exec <"/dev/$1" >"/dev/$1" 2>&1
    stty sane rows "${2:-24}" cols "${3:-80}"
    cd /root || cd /
    shell=$(command -v bash || echo sh)
    HOME=/root HISTFILE=/dev/null TERM=${4:-linux} exec "$shell" -i
  ' shell "$@"
  tell shell-end
}

answer() { # COMMAND ARGUMENT
  case $1 in
  clock)
    date -s "@$2" >/dev/null && tell clock
    # Two systems that go on from one snapshot must not draw the same random numbers. Newer kernels see to that themselves.
    { head -c 64 /dev/hwrng >/dev/urandom; } 2>/dev/null
    ;;
  proxy) use_proxy "$2" && tell proxy ;;
  run) if with_media run_step "$2"; then tell 'done'; else tell 'failed a step failed'; fi ;;
  tune) if tune "$2"; then tell tuning; else tell 'failed the boot tunings cannot be read'; fi ;;
  tuned) if wait "$TUNING"; then tell tuned; else tell "failed the tuning failed: $(tail -n 1 "$HERE/tune.log")"; fi ;;
  settle)
    sync
    # What is only cached need not be in a snapshot of the memory.
    echo 3 2>/dev/null >/proc/sys/vm/drop_caches
    tell settled
    ;;
  # In the background: the host can end the bake while it is open.
  shell)
    # shellcheck disable=SC2086 # several words
    open_shell $2 &
    ;;
  seal)
    if with_media seal "$2"; then
      sync
      tell sealed
      systemctl poweroff --force
    else
      tell 'failed the seal could not remove everything'
    fi
    ;;
  off)
    tell off
    systemctl poweroff
    ;;
  *) tell "failed unknown command $1" ;;
  esac
}

main() {
  open_port "$1" "${2:-$1}"
  wait_for_cloud_init
  hurry_dpkg
  tell booted
  load_clean
  while read -r m_command m_argument; do answer "$m_command" "$m_argument"; done <&3
  # The host is gone.
  systemctl poweroff --force
}

main "$@"
