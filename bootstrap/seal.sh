#!/bin/sh
# seal: removes what belongs to the one machine that was baked on, so that every host made from the image is a new one.
#
# Usage: seal.sh IMAGE_ID       (as root, inside the guest, as the last thing before it is powered off)
# After it nothing may write to the disk any more: end with `systemctl poweroff --force`, which stops no service in order
# and so lets none save a random seed or a log record.
#
# The list is virt-sysprep's default operations as far as they apply, and what it lacks: cloud-init's state, network
# configuration made by cloud-init, the random seed, the agent's own state. Crontabs of users stay: a step may have
# written them.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

STATE=/var/lib/parbake
IMAGE_ID=${1:?usage: seal.sh IMAGE_ID}

have() { command -v "$1" >/dev/null 2>&1; }

# Removing what is not there is no error; a file that cannot be removed is.
drop() { rm -rf -- "$@" || FAILED=1; }

seal_parbake() {
  drop "$STATE/instances" "$STATE/log" "$STATE/report.json" "$STATE/status" "$STATE/every" "$STATE/tmp" \
    /etc/parbake /var/log/parbake.log
  printf '%s\n' "$IMAGE_ID" >"$STATE/image"
}

seal_cloud_init() {
  have cloud-init || return 0
  set -- --logs --seed
  sc_help=$(cloud-init clean --help 2>&1)
  case $sc_help in *--machine-id*) set -- "$@" --machine-id ;; esac
  case $sc_help in *--configs*) set -- "$@" --configs all ;; esac
  cloud-init clean "$@" || FAILED=1
  # Older releases leave these.
  drop /var/lib/cloud/* /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* \
    /etc/systemd/network/10-cloud-init-* /run/systemd/network/10-cloud-init-* \
    /etc/NetworkManager/system-connections/cloud-init-* /etc/NetworkManager/conf.d/*cloud-init* \
    /etc/ssh/sshd_config.d/50-cloud-init.conf /etc/sudoers.d/90-cloud-init-users /etc/cloud/cloud.cfg.d/90-installer-network.cfg
}

seal_identity() {
  # Empty, not `uninitialized`: both get a new id, but the latter is a "first boot", at which systemd enables every unit
  # that its presets do not disable, and so undoes what a baked step disabled (machine-id(5), first boot semantics).
  if [ -d /run/systemd/system ]; then : >/etc/machine-id; else drop /etc/machine-id; fi
  [ -L /var/lib/dbus/machine-id ] || drop /var/lib/dbus/machine-id
  drop /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /root/.ssh /home/*/.ssh
  printf 'localhost\n' >/etc/hostname
  sed -i '/^127\.0\.1\.1[[:space:]]/d' /etc/hosts
  # Stopping it saves the seed a last time; it is removed after that.
  systemctl stop systemd-random-seed.service 2>/dev/null
  drop /var/lib/systemd/random-seed /var/lib/urandom/random-seed /var/lib/systemd/credential.secret \
    /var/lib/dhcp/* /var/lib/dhcpcd/* /var/lib/dhclient/* /var/lib/NetworkManager/*lease* /var/lib/NetworkManager/secret_key \
    /var/lib/NetworkManager/seen-bssids /var/lib/NetworkManager/timestamps /etc/udev/rules.d/*persistent-net.rules \
    /etc/blkid.tab /etc/lvm/devices/* /var/lib/puppet/ssl /etc/puppetlabs/puppet/ssl /var/cache/samba /var/lib/sss/db/* \
    /etc/sysconfig/rhn/systemid /var/lib/yum/uuid
}

seal_traces() {
  # From here on the journal is kept in memory.
  journalctl --relinquish-var >/dev/null 2>&1
  drop /var/log/journal/*
  find /var/log -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
  find /var/log -type f -size +0 -exec truncate -s 0 {} + || FAILED=1
  drop /root/.bash_history /root/.ash_history /root/.zsh_history /root/.python_history /root/.lesshst /root/.viminfo /root/.wget-hsts \
    /root/.cache /home/*/.bash_history /home/*/.ash_history /home/*/.zsh_history /home/*/.python_history /home/*/.lesshst \
    /home/*/.cache /var/mail/* /var/spool/mail/* /var/crash/* /var/lib/systemd/coredump/* /var/lib/systemd/timers/* \
    /var/lib/logrotate/status /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /var/lib/rpm/__db.*
  if have apt-get; then apt-get clean || FAILED=1; fi
  drop /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/dnf/* /var/cache/yum/* /var/cache/apk/*
  find /tmp /var/tmp -mindepth 1 -xdev -delete 2>/dev/null
  true
}

main() {
  FAILED=0
  seal_parbake
  seal_cloud_init
  seal_traces
  # Last, because cloud-init's own clean and the journal read the machine id.
  seal_identity
  sync
  # The host drops what is free from the image file.
  fstrim / || FAILED=1
  return $FAILED
}

main
exit $?
