#!/bin/sh
# seal: removes what belongs to the one machine that was baked on, so that every host made from the image is a new one.
#
# Usage: seal.sh IMAGE_ID       (as root, inside the system, as the last thing before it is powered off)
# Exit:  0 all removed, 1 something could not be removed
# After it nothing may write to the disk any more: end with `systemctl poweroff --force`, which stops no service in order
# and so lets none save a random seed or a log record. What is freed here still has its bytes on the disk: whoever calls
# this drops them (fstrim, or the host does), and src/seal/check.ts looks from outside whether nothing is left.
# CLOUD_INIT_CLEAN, where set, is a command that does what `cloud-init clean` does.
#
# src/seal/list.ts is the list, with the reason for each entry: virt-sysprep's default operations as far as they apply, and
# what it lacks. Crontabs of users stay: a step may have written them. What lies in /run is in memory and ends with it.
#
# shellcheck disable=SC2015  # A && B || C is meant: C also when B fails
set -u
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
unset IFS CDPATH ENV

STATE=/var/lib/parbake
IMAGE_ID=${1:?usage: seal.sh IMAGE_ID}

have() { command -v "$1" >/dev/null 2>&1; }

failed() {
  printf 'seal: %s\n' "$*" >&2
  FAILED=1
}

# Removing what is not there is no error; a file that cannot be removed is.
drop() { rm -rf -- "$@" || failed "cannot remove $*"; }

# Empties folders, hidden files too, and leaves the folders: packages own them. What is mounted in them is not ours.
# Tried twice: what still runs may have written meanwhile. Not every find can delete by itself.
clear_out() { # DIR...
  for co_dir in "$@"; do
    [ ! -d "$co_dir" ] || empty_dir "$co_dir/" 2>/dev/null || empty_dir "$co_dir/" || failed "cannot empty $co_dir"
  done
}

empty_dir() {
  find "$1" -xdev -mindepth 1 ! -type d -exec rm -f -- {} + && find "$1" -xdev -mindepth 1 -depth -type d -exec rmdir -- {} +
}

edit() { # FILE SED_SCRIPT
  [ ! -f "$1" ] || [ -L "$1" ] || sed -i "$2" "$1" || failed "cannot change $1"
}

# A boot that is still under way would write again what is removed here; a stage of cloud-init that nobody had to wait for
# may be. Its jobs say so from the beginning of the boot on.
await_boot() {
  ab_left=300
  while [ "$ab_left" -gt 0 ] && systemctl list-jobs --no-legend --no-pager 2>/dev/null | grep -q ' cloud-'; do
    ab_left=$((ab_left - 1))
    sleep 0.3 2>/dev/null || sleep 1
  done
}

# What wakes up meanwhile would write again. Not all of these are there.
quiet() {
  have systemctl || return 0
  await_boot
  systemctl stop '*.timer' cron.service crond.service atd.service syslog.socket rsyslog.service syslog-ng.service \
    auditd.service 2>/dev/null
  # Stopping it saves the seed a last time; that is removed after this.
  systemctl stop systemd-random-seed.service 2>/dev/null
}

# Swapped-out memory stays in a swap area for ever. In a container these are the host's.
seal_swap() {
  [ -r /proc/swaps ] && ! { have systemd-detect-virt && systemd-detect-virt -cq; } || return 0
  while read -r ss_area ss_type _; do
    case $ss_area in Filename | /dev/zram* | /dev/ram*) continue ;; esac
    ss_uuid=$(blkid -o value -s UUID "$ss_area")
    swapoff "$ss_area" || { failed "cannot empty the swap area $ss_area" && continue; }
    case $ss_type in
    partition) blkdiscard -z "$ss_area" 2>/dev/null || cat /dev/zero >"$ss_area" 2>/dev/null ;;
    *) dd if=/dev/zero of="$ss_area" bs=65536 count=$(($(stat -c %s "$ss_area") / 65536)) conv=notrunc 2>/dev/null ;;
    esac
    mkswap ${ss_uuid:+-U "$ss_uuid"} "$ss_area" >/dev/null || failed "cannot renew the swap area $ss_area"
  done </proc/swaps
}

seal_parbake() {
  drop "$STATE/instances" "$STATE/log" "$STATE/report.json" "$STATE/status" "$STATE/every" "$STATE/tmp" /etc/parbake \
    "$STATE/schedule" "$STATE/keys" "$STATE/paused" "$STATE/trial" "$STATE/agent.refused" "$STATE/checked" \
    /etc/apt/apt.conf.d/00parbake-bake /etc/dpkg/dpkg.cfg.d/00parbake-bake
  [ -d "$STATE" ] || { mkdir -p "$STATE" && chmod 711 "$STATE"; }
  printf '%s\n' "$IMAGE_ID" >"$STATE/image" || failed "cannot write $STATE/image"
}

# Asking cloud-init itself costs a start of Python, which is dear where the processor is emulated.
cleans_configs() {
  cc_source=/usr/lib/python3/dist-packages/cloudinit/cmd/clean.py
  if [ -f $cc_source ]; then grep -q -e '--configs' $cc_source; else cloud-init clean --help 2>&1 | grep -q -e '--configs'; fi
}

seal_cloud_init() {
  if have cloud-init; then
    set -- --logs --seed
    if cleans_configs; then set -- "$@" --configs all; fi
    # shellcheck disable=SC2086 # a command and its argument
    ${CLOUD_INIT_CLEAN:-cloud-init clean} "$@" || failed 'cloud-init clean failed'
  fi
  # Older releases leave these.
  clear_out /var/lib/cloud
  drop /etc/netplan/50-cloud-init.yaml /etc/network/interfaces.d/50-cloud-init* /etc/systemd/network/10-cloud-init-* \
    /etc/NetworkManager/system-connections/*cloud-init* /etc/NetworkManager/conf.d/*cloud-init* \
    /etc/ssh/sshd_config.d/50-cloud-init.conf /etc/sudoers.d/90-cloud-init-users \
    /etc/cloud/cloud.cfg.d/90-installer-network.cfg /etc/cloud/cloud.cfg.d/50-curtin-networking.cfg
  edit /etc/fstab '/comment=cloudconfig/d'
}

seal_logs() {
  # From here on the journal is kept in memory.
  journalctl --relinquish-var >/dev/null 2>&1
  clear_out /var/log/journal
  # Made anew: kernels before 5.13 leave deleted names, here the machine id, in a folder's block.
  if [ -d /var/log/journal ]; then
    cp -a /var/log/journal /var/log/journal.new && rmdir /var/log/journal && mv /var/log/journal.new /var/log/journal ||
      failed 'cannot renew /var/log/journal'
  fi
  drop /var/log/parbake.log /var/lib/logrotate/status
  [ ! -d /var/log ] || {
    find /var/log/ -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.zst' -o -name '*.bz2' -o -name '*.old' -o -name '*.[0-9]' \) \
      -exec rm -f -- {} + &&
      find /var/log/ -type f -size +0 -exec truncate -s 0 {} +
  } || failed 'cannot empty /var/log'
}

seal_home() { # HOME
  drop "$1"/.bash_history "$1"/.ash_history "$1"/.sh_history "$1"/.zsh_history "$1"/.zhistory "$1"/.history \
    "$1"/.python_history "$1"/.mysql_history "$1"/.psql_history "$1"/.sqlite_history "$1"/.rediscli_history \
    "$1"/.node_repl_history "$1"/.irb_history "$1"/.dbshell_history "$1"/.octave_history "$1"/.lesshst "$1"/.viminfo \
    "$1"/.wget-hsts "$1"/.local/share/fish/fish_history "$1"/.local/share/nano "$1"/.local/share/recently-used.xbel \
    "$1"/.aws/credentials "$1"/.aws/cli/cache "$1"/.aws/sso/cache "$1"/.config/gcloud "$1"/.config/gh \
    "$1"/.config/git/credentials "$1"/.azure "$1"/.docker/config.json "$1"/.netrc "$1"/.git-credentials "$1"/.pgpass \
    "$1"/.vault-token "$1"/.terraform.d/credentials.tfrc.json "$1"/.gnupg/private-keys-v1.d "$1"/.gnupg/secring.gpg
}

seal_homes() {
  while IFS=: read -r _ _ _ _ _ sh_home _; do
    case $sh_home in /*) seal_home "${sh_home%/}" ;; esac
  done </etc/passwd
  for sh_home in /root /home/*; do
    seal_home "$sh_home"
    drop "$sh_home/.ssh" "$sh_home/.cache" "$sh_home/.npm/_cacache" "$sh_home/.npm/_logs" "$sh_home/.ansible/tmp"
  done
}

seal_packages() {
  if have apt-get; then apt-get clean || failed 'apt-get clean failed'; fi
  drop /var/cache/apt/*.bin /var/lib/apt/lists/*_* /var/cache/apt/archives/*.deb /var/cache/debconf/*-old /var/lib/dpkg/*-old \
    /var/lib/rpm/__db.* /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-
  clear_out /var/cache/apt/archives/partial /var/lib/apt/lists/partial /var/lib/apt/lists/auxfiles /var/lib/apt/periodic \
    /var/cache/dnf /var/cache/yum /var/cache/zypp /var/cache/apk /var/backups
  edit /var/cache/debconf/passwords.dat '/^Value:/d'
}

seal_services() {
  drop /var/lib/NetworkManager/*lease* /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids \
    /var/lib/NetworkManager/timestamps /etc/NetworkManager/system-connections/*.nmconnection \
    /etc/udev/rules.d/*-persistent-net.rules /etc/blkid.tab /etc/blkid.tab.old /etc/blkid /etc/ipa/ca.crt \
    /etc/ipa/default.conf /etc/krb5.keytab /var/account/pacct* /etc/puppet/ssl /etc/puppetlabs/puppet/ssl /var/lib/puppet/ssl \
    /var/lib/puppet/state /var/lib/puppet/reports /var/lib/puppet/client_data /opt/puppetlabs/puppet/cache/state \
    /etc/sysconfig/rhn/systemid /etc/sysconfig/rhn/osad-auth.conf /etc/sysconfig/hw-uuid /etc/smolt/uuid /etc/smolt/hw-uuid \
    /var/lib/samba/*.tdb /var/lib/yum/uuid /etc/docker/key.json /var/lib/docker/engine-id /etc/salt/minion_id \
    /etc/chef/client.pem /var/lib/consul/node-id /opt/consul/node-id /var/lib/tailscale/tailscaled.state \
    /var/lib/zerotier-one/identity.* /var/lib/amazon/ssm/Vault /var/lib/amazon/ssm/i-* /etc/nvme/hostid /etc/nvme/hostnqn \
    /var/lib/chrony/drift /var/lib/ntp/ntp.drift /var/lib/ntpsec/ntp.drift
  # At's own counter, .SEQ, stays: without it `at` does not work.
  drop /var/spool/at/[a-zA-Z=][0-9a-f][0-9a-f]* /var/spool/atjobs/[a-zA-Z=][0-9a-f][0-9a-f]* \
    /var/spool/cron/atjobs/[a-zA-Z=][0-9a-f][0-9a-f]*
  clear_out /var/lib/dhcp /var/lib/dhclient /var/lib/dhcpcd /var/lib/dhcpd /var/lib/wicked /var/lib/dovecot \
    /var/lib/ipa-client/sysrestore /var/lib/ipa-client/pki /etc/lvm/devices /etc/pki/consumer /etc/pki/entitlement /var/lib/samba/private /var/cache/samba \
    /var/lib/sss/db /var/lib/sss/mc /etc/salt/pki/minion /var/lib/waagent /var/lib/ubuntu-advantage/private \
    /var/lib/landscape/client /var/lib/netdata/registry /var/lib/netdata/cloud.d /var/lib/kubelet/pki /var/spool/abrt \
    /var/crash /var/lib/systemd/coredump /var/lib/systemd/pstore /var/lib/systemd/timers /var/mail/ /var/spool/mail/ /lost+found
  [ ! -f /etc/iscsi/initiatorname.iscsi ] || printf 'GenerateName=yes\n' >/etc/iscsi/initiatorname.iscsi
  for ss_file in /etc/sysconfig/network-scripts/ifcfg-*; do
    edit "$ss_file" '/^\(HWADDR\|UUID\|HOSTNAME\|DHCP_HOSTNAME\)=/d'
  done
}

seal_files() {
  # Not in /var/lib: what databases and containers keep there may be named anything.
  for sf_dir in /etc /root /srv /var/backups /var/cache /var/local /var/opt /var/spool /var/www; do
    [ ! -d "$sf_dir" ] || find "$sf_dir/" -xdev -type f \( -name '*.bak' -o -name '*~' \) -exec rm -f -- {} + ||
      failed "cannot clean $sf_dir"
  done
  clear_out /tmp /var/tmp
}

seal_identity() {
  # Empty, not `uninitialized`: both get a new id, but the latter is a "first boot", at which systemd enables every unit
  # that its presets do not disable, and so undoes what a baked step disabled (machine-id(5), first boot semantics).
  if [ -d /run/systemd/system ]; then : >/etc/machine-id; else drop /etc/machine-id; fi
  [ -L /var/lib/dbus/machine-id ] || drop /var/lib/dbus/machine-id
  drop /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
  printf 'localhost\n' >/etc/hostname
  edit /etc/hosts '/^127\.0\.1\.1[[:space:]]/d'
  # A file that a step wrote says nothing of a generator.
  if [ -f /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ] &&
    grep -Eiq '^#.*(NetworkManager|dhclient|dhcpcd|resolvconf|systemd-resolved|cloud-init)' /etc/resolv.conf; then
    drop /etc/resolv.conf
  fi
  drop /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /boot/loader/random-seed /efi/loader/random-seed \
    /boot/efi/loader/random-seed
  clear_out /var/lib/urandom /var/lib/seedrng
}

main() {
  FAILED=0
  quiet
  seal_swap
  seal_parbake
  # Beside others, because it mostly loads Python.
  (seal_cloud_init; exit "$FAILED") &
  m_cloud_init=$!
  seal_homes
  seal_packages
  seal_services
  wait $m_cloud_init || FAILED=1
  seal_logs
  seal_files
  # Last, because cloud-init's own clean and the journal read the machine id.
  seal_identity
  # What is freed can be dropped only when it has been written that it is free.
  sync
  return $FAILED
}

main
exit $?
