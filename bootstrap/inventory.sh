#!/bin/sh
# inventory: says what a system is, so that two systems can be compared. Runs in the guest as root; changes nothing but
# /run/parbake-verify. Secrets leave it as digests only, password hashes not at all.
#
# Usage: inventory.sh print            the inventory on stdout
#        inventory.sh converge         lets the agent run once more; its report on stdout
#        inventory.sh settle           returns when the boot is over and nothing is at work any more
#        inventory.sh serve IN OUT     does these for a host on a virtio-serial port or two FIFOs, line by line:
#
#   host asks         answers
#   (at start)        here
#   settle            settled
#   report            report JSON of the last converge
#   converge          report JSON
#   print             print-begin, base64 of the gzipped inventory in lines, print-end | print-failed
#
# The inventory has one record a line: a word, then fields with tabs between them. `file` lines are JSON, so that any name
# fits. The last line is `end`: without it something was cut off. What is not there is told by a `lack` line.
#
# Needs python3, which cloud-init brings: find, stat and getfattr differ too much between distributions.
set -u
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

HERE=${PARBAKE_VERIFY_RUN:-/run/parbake-verify}
# Folders to look at instead of the real file systems, for tests.
ROOTS=${PARBAKE_VERIFY_ROOTS:-}
REPORT=/var/lib/parbake/report.json
TAB='	'

have() { command -v "$1" >/dev/null 2>&1; }

print_users() {
  while IFS=: read -r pu_name _ pu_uid pu_gid pu_about pu_home pu_shell; do
    printf 'user\t%s\t%s\t%s\t%s\t%s\t%s\n' "$pu_name" "$pu_uid" "$pu_gid" "$pu_home" "$pu_shell" "$pu_about"
  done </etc/passwd
  while IFS=: read -r pu_name _ pu_gid pu_members; do
    printf 'group\t%s\t%s\t%s\n' "$pu_name" "$pu_gid" "$pu_members"
  done </etc/group
  [ -r /etc/shadow ] || return 0
  # Whether one can log in by password, never the hash.
  while IFS=: read -r pu_name pu_hash _; do
    case $pu_hash in
    '') pu_state=empty ;;
    '!'* | '*'*) pu_state=locked ;;
    *) pu_state=password ;;
    esac
    printf 'shadow\t%s\t%s\n' "$pu_name" "$pu_state"
  done </etc/shadow
}

print_packages() {
  if have dpkg-query; then
    dpkg-query -W -f 'package\t${Package}:${Architecture}\t${Version}\t${db:Status-Status}\n'
    if have apt-mark; then apt-mark showmanual | sed "s/^/manual$TAB/"; fi
  elif have rpm; then
    rpm -qa --qf 'package\t%{NAME}:%{ARCH}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\tinstalled\n'
    if have dnf; then dnf -q repoquery --userinstalled --qf '%{name}\n' 2>/dev/null | sed "s/^/manual$TAB/"; fi
  elif have apk; then
    apk list --installed 2>/dev/null | sed -n "s/^\(.*\)-\([^-]*-r[0-9]*\) .*/package$TAB\1$TAB\2${TAB}installed/p"
    sed "s/[=<>~@].*//; s/^/manual$TAB/" /etc/apk/world
  else
    printf 'lack\tpackages\n'
  fi
}

print_units() {
  if ! have systemctl || [ ! -d /run/systemd/system ]; then
    printf 'lack\tunits\n'
    return
  fi
  systemctl list-unit-files --no-legend --no-pager --plain | while read -r pu_unit pu_state _; do
    printf 'unit-file\t%s\t%s\n' "$pu_unit" "$pu_state"
  done
  systemctl list-units --all --no-legend --no-pager --plain \
    --type=service,socket,timer,path,target,mount,automount,swap | while read -r pu_unit _ pu_active pu_sub _; do
    printf 'unit\t%s\t%s\t%s\n' "$pu_unit" "$pu_active" "$pu_sub"
  done
}

# Fields of ss: netid state recv-q send-q local peer process.
print_ports() {
  if ! have ss; then
    printf 'lack\tports\n'
    return
  fi
  ss -H -l -n -t -u -p | while read -r pp_proto _ _ _ pp_local _ pp_users; do
    printf 'port\t%s\t%s\t%s\t%s\n' "$pp_proto" "${pp_local%:*}" "${pp_local##*:}" "$pp_users"
  done
}

print_kernel() {
  # A kernel may have none.
  if [ -r /proc/modules ]; then
    while read -r pk_module _; do printf 'module\t%s\n' "$pk_module"; done </proc/modules
  fi
  # Write-only and vanishing ones make noise.
  find /proc/sys -type f -perm -400 -exec grep -H '' {} + 2>/dev/null | while IFS= read -r pk_line; do
    printf 'sysctl\t%s\t%s\n' "${pk_line%%:*}" "${pk_line#*:}"
  done
}

digest_of_input() { sha256sum | cut -c 1-64; }

# What the host calls itself on the network and to its cloud.
print_identity() {
  printf 'identity\thostname\t%s\n' "$(digest_of_input </proc/sys/kernel/hostname)"
  pi_ids=$(cat /run/systemd/netif/leases/* /run/NetworkManager/devices/* 2>/dev/null | grep -i '^\(dhcp-\)\?client-\?id=')
  pi_ids=$pi_ids$(grep -h 'default-duid' /var/lib/dhcp/*.leases /var/lib/dhclient/*.leases 2>/dev/null)
  pi_ids=$pi_ids$(cat /var/lib/dhcpcd/duid /etc/dhcpcd.duid 2>/dev/null)
  [ -z "$pi_ids" ] || printf 'identity\tdhcp\t%s\n' "$(printf %s "$pi_ids" | digest_of_input)"
}

# One line for each file of the real file systems: type, mode, uid, gid, size, path, then what it holds (the digest of a
# file, the target of a link, the numbers of a device), then extended attributes with capabilities and ACLs.
print_files() {
  have python3 || {
    printf 'lack\tfiles\n'
    return
  }
  python3 -c '
import hashlib, json, os, stat, sys
real = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "overlay", "fuse-overlayfs"}
mounts = []
for line in open("/proc/self/mounts"):
    source, point, kind = line.split(" ")[:3]
    point = point.encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
    mounts.append((point, kind in real))
points = {point for point, _ in mounts}
# What lasts for one boot only is not compared.
brief = ("/run", "/proc", "/sys", "/dev", "/tmp")
roots = sys.argv[2].split() or ["/"] + sorted({point for point, wanted in mounts if wanted and point != "/" and not (point + "/").startswith(tuple(name + "/" for name in brief)) and os.path.isdir(point)})
kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p", stat.S_IFSOCK: "s"}

def walk(folder):
    yield folder
    stack = [folder]
    while stack:
        try: entries = list(os.scandir(stack.pop()))
        except OSError: continue
        for entry in entries:
            yield entry.path
            if entry.is_dir(follow_symlinks=False) and entry.path not in points: stack.append(entry.path)

def content(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while True:
            piece = file.read(1 << 20)
            if not piece: return digest.hexdigest()
            digest.update(piece)

def attributes(path):
    found = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            if not name.startswith(("trusted.", "user.overlay.")):
                found[name] = os.getxattr(path, name, follow_symlinks=False).hex()
    except OSError: pass
    return found

def record(path):
    # A file may vanish while it is looked at.
    try:
        s = os.lstat(path)
        kind = kinds.get(stat.S_IFMT(s.st_mode), "?")
        held = content(path) if kind == "f" else os.readlink(path) if kind == "l" else "%d:%d" % (os.major(s.st_rdev), os.minor(s.st_rdev)) if kind in "cb" else ""
        size = s.st_size if kind == "f" else 0
        return json.dumps([kind, stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, size, path, held, attributes(path)], separators=(",", ":"))
    except OSError: return None

paths = [path for root in roots for path in walk(root)]
workers = os.cpu_count() or 1
outs = []
for number in range(workers):
    out = os.path.join(sys.argv[1], "files.%d" % number)
    outs.append(out)
    if os.fork() == 0:
        status = 1
        try:
            with open(out, "w") as file:
                for path in paths[number::workers]:
                    line = record(path)
                    if line: file.write("file\t" + line + "\n")
            status = 0
        finally: os._exit(status)
for _ in outs:
    if os.wait()[1]: sys.exit("inventory: a reader of files failed")
for out in outs:
    with open(out) as file:
        for line in file: sys.stdout.write(line)
    os.unlink(out)
' "$HERE" "$ROOTS"
}

print_inventory() {
  printf 'inventory\t1\n'
  print_users && print_packages && print_units && print_ports && print_kernel && print_identity && print_files || return
  printf 'end\n'
}

# The boot is over when cloud-init has finished, the agent has ended and systemd has no job left. How long to wait for that
# is the host's affair.
settle() {
  until [ -e /run/cloud-init/result.json ] && ! systemctl --quiet is-active parbake-boot.service 2>/dev/null; do sleep 0.2; done
  timeout 300 systemctl is-system-running --wait >/dev/null 2>&1
  sync
}

converge() {
  rm -f "$REPORT"
  /usr/local/sbin/parbake-agent run </dev/null >"$HERE/converge.log" 2>&1
  cv_status=$?
  cat "$REPORT" 2>/dev/null
  return $cv_status
}

# As lines that a serial port carries.
send_inventory() {
  if print_inventory >"$HERE/inventory" 2>"$HERE/inventory.log"; then
    echo print-begin
    gzip -c -1 "$HERE/inventory" | base64 -w 60000
    echo
    echo print-end
  else
    printf 'print-failed %s\n' "$(tail -n 1 "$HERE/inventory.log")"
  fi
}

serve() { # IN OUT
  sv_left=600
  while [ ! -e "$1" ] && [ $sv_left -gt 0 ]; do
    sv_left=$((sv_left - 1))
    sleep 0.2
  done
  # A port may be opened but once.
  if [ "$1" = "$2" ]; then exec 3<>"$1" 4>&3; else exec 3<"$1" 4>"$2"; fi || return
  echo here >&4
  while read -r sv_command <&3; do
    case $sv_command in
    settle)
      settle
      echo settled >&4
      ;;
    report) printf 'report %s\n' "$(cat "$REPORT" 2>/dev/null)" >&4 ;;
    converge) printf 'report %s\n' "$(converge)" >&4 ;;
    print) send_inventory >&4 ;;
    *) printf 'failed unknown command %s\n' "$sv_command" >&4 ;;
    esac
  done
}

mkdir -p "$HERE"
case ${1:-} in
print) print_inventory ;;
converge) converge ;;
settle) settle ;;
serve) serve "${2:?usage: inventory.sh serve IN OUT}" "${3:-$2}" ;;
*)
  echo 'usage: inventory.sh print | converge | settle | serve IN OUT' >&2
  exit 2
  ;;
esac
