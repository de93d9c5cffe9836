#!/bin/sh
# tune: makes the image being baked boot faster. Runs in the guest as root, after the last step and before the seal.
#
# Usage: tune.sh NAME...
# Out:   a line for each: `NAME: done` or `NAME: left: WHY`; what does not fit this system is left as it is
# Exit:  0, or 1 where a change failed half-way
#
# Works in a virtual machine, a container and a chroot: it changes files only, and needs no running kernel of its own. Each
# tuning can be applied twice. src/tune/tunings.ts says what each does, what it brings and why it is safe. A package that
# owns what is changed here may be updated later: drop-ins stay valid, and every script falls back to the plain way.
# shellcheck disable=SC2317,SC2086  # functions are called by name; what is unquoted holds no spaces
set -u
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

UNITS=/etc/systemd/system
LIB=/usr/local/lib/parbake
# What the host has made ready beforehand for the base's own RAM disk: see tune_initrd_ready.
READY=${READY:-/run/parbake-bake/ready}

have() { command -v "$1" >/dev/null 2>&1; }

leave() {
  WHY=$*
  return 3
}

# Where a unit that packages brought lies.
unit_file() { # UNIT, result in UNIT_FILE
  for UNIT_FILE in /usr/lib/systemd/system/$1 /lib/systemd/system/$1; do
    [ ! -f "$UNIT_FILE" ] || return 0
  done
  return 1
}

drop_in() { # UNIT NAME, text on standard input
  mkdir -p "$UNITS/$1.d" && cat >"$UNITS/$1.d/$2.conf"
}

enable_unit() { # UNIT TARGET
  mkdir -p "$UNITS/$2.wants" && ln -sf "../$1" "$UNITS/$2.wants/$1"
}

# ------------------------------------------------------------------------------------------------------ at level `same`

# cloud-init before 24.3 starts Python anew for each of its four stages. Here a server loads it once, while systemd still
# mounts and probes, and forks a process for each stage, which gets the standard streams, the environment and the cgroup
# of the stage's unit.
tune_cloud_init_fork() {
  [ -x /usr/bin/cloud-init ] && have python3 || leave 'there is no cloud-init' || return
  [ -d /etc/systemd/system ] || leave 'there is no systemd' || return
  for cf_unit in cloud-init-local cloud-init cloud-config cloud-final; do
    unit_file $cf_unit.service && [ "$(grep -c '^ExecStart=/usr/bin/cloud-init [a-z]' "$UNIT_FILE")" = 1 ] ||
      leave "$cf_unit.service is not what cloud-init before 24.3 brings" || return
  done
  mkdir -p $LIB || return
  fork_server >$LIB/cloud-init-server && fork_client >$LIB/cloud-init-stage || return
  fork_preload >$LIB/cloud-init-preload || leave 'cloud-init cannot be loaded' || return
  cat >$UNITS/parbake-cloud-init.service <<END || return
[Unit]
Description=parbake: load cloud-init once for all of its stages
DefaultDependencies=no
Before=cloud-init-local.service cloud-init.service cloud-config.service cloud-final.service shutdown.target
Conflicts=shutdown.target

[Service]
Type=notify
RuntimeDirectory=parbake-stages
RuntimeDirectoryMode=0700
ExecStart=/usr/bin/python3 $LIB/cloud-init-server
# Whoever still waits for an answer gets an end of file.
ExecStopPost=/bin/sh -c 'exec 3<>/run/parbake-stages/reply'
END
  enable_unit parbake-cloud-init.service cloud-init.target || return
  for cf_unit in cloud-init-local cloud-init cloud-config cloud-final; do
    unit_file $cf_unit.service
    cf_arguments=$(sed -n 's|^ExecStart=/usr/bin/cloud-init ||p' "$UNIT_FILE")
    drop_in $cf_unit.service 50-parbake-fork <<END || return
[Service]
ExecStart=
ExecStart=/bin/sh $LIB/cloud-init-stage $cf_arguments
SyslogIdentifier=cloud-init
END
  done
}

fork_client() {
  cat <<'END'
# Usage: cloud-init-stage ARGUMENTS of cloud-init
# Lets the server fork a process for this stage and waits for it. Without a server: cloud-init as ever.
d=/run/parbake-stages taken='' code=''
if [ -p $d/request ] && printf '%s\n' "$$ $*" 1<>$d/request; then
  { read -r taken && read -r code; } <$d/reply
fi
[ -n "$taken" ] || exec /usr/bin/cloud-init "$@"
exit "${code:-1}"
END
}

fork_server() {
  cat <<'END'
# Loads cloud-init, then forks a process for every stage that is asked for: see tune.sh of parbake.
import os, sys

FOLDER = os.environ.get("RUNTIME_DIRECTORY", "/run/parbake-stages")
sys.path.pop(0)

def open_fifo(name):
    path = os.path.join(FOLDER, name)
    os.mkfifo(path, 0o600)
    # For reading and writing, so that neither open nor read waits for the other side to be there.
    return os.open(path, os.O_RDWR)

REQUEST, REPLY = open_fifo("request"), open_fifo("reply")

import gc, select, signal, socket

def notify(text):
    address = os.environ.pop("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(text, "\0" + address[1:] if address[0] == "@" else address)

def preloads():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cloud-init-preload")) as names:
        return [name.strip() for name in names]

def load_next(names):
    try:
        __import__(names.pop(0))
    except Exception:
        pass

def take_over(pid):
    """Makes this process one of the unit's: its cgroup, its streams, its environment."""
    import ctypes
    os.setsid()
    with open("/proc/%d/cgroup" % pid) as lines:
        groups = [line.strip().split(":", 2) for line in lines]
    for number, name, group in groups:
        for root in {"0": ("", "/unified"), "name=systemd": ("/systemd",)}.get(name or number, ()):
            try:
                with open("/sys/fs/cgroup" + root + group + "/cgroup.procs", "w") as file:
                    file.write(str(os.getpid()))
            except OSError:
                pass
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    for number in (1, 2):
        # pidfd_getfd(2)
        copy = libc.syscall(438, handle, number, 0)
        if copy >= 0:
            os.dup2(copy, number)
            os.close(copy)
    os.close(handle)
    with open("/proc/%d/environ" % pid, "rb") as file:
        pairs = [pair.split(b"=", 1) for pair in file.read().split(b"\0") if b"=" in pair]
    os.environb.clear()
    os.environb.update(dict(pairs))

def run_stage(pid, arguments):
    """The exit code of cloud-init with these arguments, as its own start script gives it."""
    os.close(REQUEST)
    os.close(REPLY)
    take_over(pid)
    gc.enable()
    sys.argv = ["/usr/bin/cloud-init", *arguments]
    from cloudinit.cmd.main import main
    return main()

def forked(pid, arguments):
    child = os.fork()
    if child:
        return child
    try:
        sys.exit(run_stage(pid, arguments))
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    try:
        import atexit
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit((code or 0) & 255)

def serve(names):
    # Nothing of what is loaded is ever garbage, and what is not looked at need not be copied after the fork.
    gc.disable()
    while True:
        while names and not select.select([REQUEST], [], [], 0)[0]:
            load_next(names)
        pid, *arguments = os.read(REQUEST, 4096).decode().split()
        gc.freeze()
        child = forked(int(pid), arguments)
        os.write(REPLY, b"taken\n")
        # The stage has a CPU of its own, perhaps: this one goes on.
        while names and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            load_next(names)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(REPLY, b"%d\n" % (code if code >= 0 else 128 - code))
        if arguments[-1] == "--mode=final":
            return

notify(b"READY=1")
serve(preloads())
END
}

# What the stages load, in the order in which they do: taken from the configuration, for modules come and go.
fork_preload() {
  python3 - <<'END'
import importlib.util, sys
from cloudinit import util
cfg = util.read_conf_with_confd("/etc/cloud/cloud.cfg")
distro = (cfg.get("system_info") or {}).get("distro", "debian")
names = ["ctypes", "cloudinit.cmd.main", "cloudinit.distros.%s" % distro]
for source in (cfg.get("datasource_list") or [])[:1]:
    names.append("cloudinit.sources.DataSource%s" % source)
names.append("cloudinit.sources.DataSourceNone")
for stage in ("cloud_init_modules", "cloud_config_modules", "cloud_final_modules"):
    for entry in cfg.get(stage) or []:
        name = entry if isinstance(entry, str) else entry[0]
        names.append("cloudinit.config.cc_%s" % name.replace("-", "_"))
found = [name for name in names if importlib.util.find_spec(name)]
if "cloudinit.cmd.main" not in found:
    sys.exit(1)
print("\n".join(found))
END
}

# An RSA key takes cloud-init's ssh module seconds. Here it is made in memory from the start of the boot, on a CPU that has
# time; when the module asks for exactly this key, it gets it. What else it asks for is made as ever.
tune_ssh_rsa_ahead() {
  [ -x /usr/bin/cloud-init ] && [ -x /usr/bin/ssh-keygen ] || leave 'there is no cloud-init with OpenSSH' || return
  unit_file cloud-init.service || leave 'cloud-init has no unit for its network stage' || return
  case $(key_types) in *' rsa '*) ;; *) leave 'no RSA key is generated' || return ;; esac
  mkdir -p $LIB/bin || return
  cat >$LIB/ssh-rsa-ahead <<'END' || return
# Makes an RSA host key in memory; the name without .new says that it is whole.
umask 077
cd /run/parbake-ssh || exit
ssh-keygen -q -t rsa -N '' -C root@localhost -f rsa.new && mv rsa.new.pub rsa.pub && mv rsa.new rsa
rm -f making
END
  cat >$LIB/bin/ssh-keygen <<'END' || return
#!/bin/sh
# Stands before ssh-keygen in the PATH of cloud-init's network stage only.
d=/run/parbake-ssh to=/etc/ssh/ssh_host_rsa_key
if [ $# = 6 ] && [ "$*" = "-t rsa -N  -f $to" ]; then
  while [ -e $d/making ] && [ ! -e $d/rsa ]; do sleep 0.1; done
  if [ -e $d/rsa ] && [ ! -e $to ] && /usr/bin/ssh-keygen -q -c -P '' -C "root@$(hostname)" -f $d/rsa >/dev/null &&
    cp $d/rsa.pub $to.pub && chmod 644 $to.pub && cp $d/rsa $to && chmod 600 $to; then
    echo 'Generating public/private rsa key pair.'
    echo "Your identification has been saved in $to"
    echo "Your public key has been saved in $to.pub"
    echo 'The key fingerprint is:'
    /usr/bin/ssh-keygen -lvf $to.pub
    rm -rf $d
    exit 0
  fi
fi
exec /usr/bin/ssh-keygen "$@"
END
  chmod 755 $LIB/bin/ssh-keygen || return
  cat >$UNITS/parbake-ssh-rsa.service <<END || return
[Unit]
Description=parbake: begin to make an RSA host key for cloud-init
DefaultDependencies=no
Before=cloud-init.service shutdown.target
Conflicts=shutdown.target
ConditionPathExists=!/etc/ssh/ssh_host_rsa_key

[Service]
Type=exec
# More than what nobody waits for, and less than cloud-init, which will wait for it, has by the tuning cpu-share.
CPUWeight=300
ExecStartPre=/bin/mkdir -m 700 /run/parbake-ssh
ExecStartPre=/bin/touch /run/parbake-ssh/making
ExecStart=/bin/sh $LIB/ssh-rsa-ahead
ExecStopPost=/bin/rm -f /run/parbake-ssh/making
END
  enable_unit parbake-ssh-rsa.service cloud-init.target || return
  stand_before || return
  drop_in cloud-init.service 50-parbake-ssh <<END
[Service]
ExecStartPost=-/bin/rm -rf /run/parbake-ssh
END
}

# Lets cloud-init's network stage find what is in our folder before programs of the same names.
stand_before() {
  drop_in cloud-init.service 50-parbake-path <<END
[Service]
Environment=PATH=$LIB/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
END
}

# cloud-init asks growpart at each boot whether the root's partition can grow, and growpart asks a dozen programs. Where no free
# sector follows the partition, or fewer than growpart cares for, the kernel's own sizes say so.
tune_growpart_ask() {
  [ -x /usr/bin/cloud-init ] && [ -x /usr/bin/growpart ] || leave 'there is no cloud-init with growpart' || return
  unit_file cloud-init.service || leave 'cloud-init has no unit for its network stage' || return
  mkdir -p $LIB/bin || return
  cat >$LIB/bin/growpart <<'END' || return
#!/bin/sh
# Stands before growpart in the PATH of cloud-init's network stage only.
if [ $# = 3 ] && [ "$1" = --dry-run ]; then
  disk=${2##*/} blocks=/sys/class/block
  for part in "$blocks/$disk$3" "$blocks/${disk}p$3"; do
    [ -e "$part/start" ] || continue
    read -r start <"$part/start" && read -r size <"$part/size" && read -r whole <"$blocks/$disk/size" || break
    # growpart does nothing for less than 1 MiB, its `fudge`.
    [ $((whole - start - size)) -ge 2048 ] || {
      echo "NOCHANGE: partition $3 is size $size. it cannot be grown"
      exit 1
    }
  done
fi
exec /usr/bin/growpart "$@"
END
  chmod 755 $LIB/bin/growpart && stand_before
}

# The types of host keys that cloud-init makes, with spaces around.
key_types() {
  python3 -c '
from cloudinit import util
from cloudinit.config import cc_ssh
cfg = util.read_conf_with_confd("/etc/cloud/cloud.cfg")
print("", *util.get_cfg_option_list(cfg, "ssh_genkeytypes", cc_ssh.GENERATE_KEY_NAMES), "")
'
}

# While the system starts, what it is started for comes first: the way to the first converge, then all else, then what
# nobody waits for. No limits: shares count only where CPUs are short, and only until the start is over.
tune_cpu_share() {
  for cs_unit in parbake-cloud-init cloud-init-local systemd-networkd systemd-networkd-wait-online cloud-init \
    cloud-init-network cloud-init-main cloud-config parbake-boot; do
    unit_file $cs_unit.service || [ -e $UNITS/$cs_unit.service ] || continue
    share $cs_unit.service 1000 || return
  done
  unit_file cloud-final.service || return 0
  share cloud-final.service 20
}

share() { # UNIT WEIGHT
  drop_in "$1" 50-parbake-share <<END
[Service]
StartupCPUWeight=$2
END
}

# The firmware reads the initial RAM disk slowly, and the kernel unpacks all of it. File systems that the root is not on,
# disks over the network and test devices are of no use in it; they are there for what needs them once the root is mounted.
# As a hook, so that the next kernel's is as small. Drivers of network cards stay: that these are there when cloud-init's
# local stage looks for them is owed to the initial RAM disk alone.
tune_initrd_trim() {
  may_trim || return
  it_hook=/etc/initramfs-tools/hooks/zz-parbake-trim
  trim_hook >$it_hook && chmod 755 $it_hook || return
  for it_disk in /boot/initrd.img-*; do
    it_version=${it_disk#/boot/initrd.img-}
    [ -d "/lib/modules/$it_version" ] || continue
    { take_ready "$it_disk" "$it_version" || trim_initrd "$it_disk" "$it_version" $it_hook; } && trimmed "$it_disk" "$it_version" ||
      update-initramfs -u -k "$it_version" || return
  done
}

# For a base when it is built, natively: puts beside each other, below a folder, what the tuning above would make of this
# system's RAM disk, and what else a bake needs to start its kernel without firmware and boot loader. Changes nothing else.
tune_initrd_ready() { # FOLDER
  may_trim || return
  ir_version=$(readlink /initrd.img) && ir_version=${ir_version##*/initrd.img-} && [ -f "/boot/vmlinuz-$ir_version" ] ||
    leave 'no link says which kernel is the current one' || return
  ir_arguments=$(sed -n 's|^ *linux  *[^ ]*vmlinuz  *||p' /boot/grub/grub.cfg 2>/dev/null | head -n 1)
  [ -n "$ir_arguments" ] || leave "the boot loader's configuration tells no arguments of the kernel" || return
  mkdir -p "$1" && trim_hook >"$1/hook" && chmod 755 "$1/hook" && cp "/boot/initrd.img-$ir_version" "$1/initrd" &&
    cp "/boot/vmlinuz-$ir_version" "$1/kernel" && printf '%s\n' "$ir_arguments" >"$1/arguments" || return
  cksum <"$1/initrd" >"$1/of" && trim_initrd "$1/initrd" "$ir_version" "$1/hook" && rm "$1/hook"
}

may_trim() { # result in TRIM_TYPE
  [ -d /etc/initramfs-tools/hooks ] && have update-initramfs || leave 'the initial RAM disk is not made by initramfs-tools' || return
  TRIM_TYPE=$(awk '$1 !~ /^#/ && $2 == "/" { print $3 }' /etc/fstab)
  case $TRIM_TYPE in ext4 | xfs | btrfs) ;; *) leave "the root's file system is not known: '$TRIM_TYPE'" || return ;; esac
  ! grep -rqs '^ *BOOT=nfs' /etc/initramfs-tools/initramfs.conf /etc/initramfs-tools/conf.d || leave 'the root is on the network' || return
  if grep -rqs configure_networking /usr/share/initramfs-tools/scripts/init-* /usr/share/initramfs-tools/scripts/local-* \
    /etc/initramfs-tools/scripts/init-* /etc/initramfs-tools/scripts/local-*; then
    leave 'something in the initial RAM disk uses the network' || return
  fi
}

trim_hook() {
  cat <<END
#!/bin/sh
# Leaves out what cannot be of use before the root is mounted, which is on $TRIM_TYPE on a local disk: see tune.sh of parbake.
[ "\${1:-}" != prereqs ] || exit 0
cd "\$DESTDIR/usr/lib/modules/\$version/kernel" 2>/dev/null || cd "\$DESTDIR/lib/modules/\$version/kernel" || exit 0
for d in fs/*; do
  case \$d in
  fs/$TRIM_TYPE | fs/jbd2 | fs/mbcache* | fs/nls | fs/overlayfs) ;;
  *) rm -rf "\$d" ;;
  esac
done
rm -rf net/sunrpc net/ceph drivers/infiniband drivers/nvme/target drivers/nvme/host/nvme-rdma.ko* drivers/nvme/host/nvme-tcp.ko* \\
  drivers/block/drbd drivers/block/rbd.ko* drivers/block/aoe drivers/block/nbd.ko* drivers/block/null_blk drivers/block/xen-blkback \\
  drivers/scsi/scsi_debug.ko* drivers/scsi/iscsi_tcp.ko* drivers/scsi/libiscsi_tcp.ko* drivers/platform drivers/net/wwan
exit 0
END
}

# What was made ready for exactly this RAM disk.
take_ready() { # FILE VERSION
  [ -r "$READY/of" ] && cat "$READY/initrd" >"$1.parbake" && chmod --reference="$1" "$1.parbake" || return 1
  if [ "$(cksum <"$1")" != "$(cat "$READY/of")" ]; then
    rm -f "$1.parbake"
    return 1
  fi
  mv "$1.parbake" "$1"
}

# Or update-initramfs would refuse to touch it again.
trimmed() { # FILE VERSION
  [ ! -f "/var/lib/initramfs-tools/$2" ] || sha1sum "$1" >"/var/lib/initramfs-tools/$2"
}

# Does to the RAM disk that is there what the hook will do to the next ones: making it anew runs hundreds of programs, which
# takes minutes where the processor is emulated. Fails, with nothing changed, where it is not as mkinitramfs packs it by gzip or
# zstd, or where a step that runs beside this has made another one meanwhile.
trim_initrd() ( # FILE VERSION HOOK
  case $(head -c 4 "$1" | od -An -tx1 | tr -d ' \n') in
    1f8b*) ti_pack='gzip -n' ;;
    28b52ffd) ti_pack='zstd -q -9 -T0' ;;
    *) exit 1 ;;
  esac
  have unmkinitramfs && have cpio && have depmod && have ${ti_pack%% *} || exit 1
  ti_work=$(mktemp -d /var/tmp/parbake-initrd.XXXXXX) && trap 'rm -rf "$ti_work"' EXIT || exit 1
  ti_root=$ti_work/root ti_before=$(cksum <"$1")
  unmkinitramfs "$1" "$ti_root" 2>/dev/null && [ -x "$ti_root/init" ] || exit 1
  DESTDIR=$ti_root version=$2 "$3" || exit 1
  depmod -a -b "$ti_root" "$2" && rm -f "$ti_root/lib/modules/$2"/modules.*map || exit 1
  # The same input is to give the same file.
  (cd "$ti_root" && find . -exec touch -h -d @0 {} + && find . | LC_ALL=C sort | cpio --reproducible --quiet -R 0:0 -o -H newc) \
    >"$ti_work/cpio" || exit 1
  $ti_pack -c "$ti_work/cpio" >"$ti_work/new" && [ -s "$ti_work/new" ] || exit 1
  cat "$ti_work/new" >"$1.parbake" && chmod --reference="$1" "$1.parbake" || exit 1
  [ "$(cksum <"$1")" = "$ti_before" ] || { rm -f "$1.parbake" && exit 1; }
  mv "$1.parbake" "$1"
)

# ---------------------------------------------------------------------------------------------------- at level `deeper`

# Steps no longer wait for cloud-init's config stage; what is in the image already or set by its network stage is there.
tune_steps_early() {
  [ -d /var/lib/parbake ] || leave 'the agent is not in the image' || return
  : >/var/lib/parbake/steps-early
}

# One key of the type that every client of this decade prefers, instead of three.
tune_ssh_ed25519() {
  [ -d /etc/cloud/cloud.cfg.d ] || leave 'there is no cloud-init' || return
  printf '%s\n' '# Written by parbake: boot tuning ssh-ed25519.' 'ssh_genkeytypes: [ ed25519 ]' >/etc/cloud/cloud.cfg.d/95_parbake_ssh.cfg
}

# Disk and network drivers of the virtual machines of QEMU, Amazon, Google, Microsoft, VMware and Xen, and nothing else; udev
# looks only at the devices that these are for. The boot goes on with a full udev in the root.
tune_initrd_minimal() {
  [ -d /etc/initramfs-tools/hooks ] && have update-initramfs || leave 'the initial RAM disk is not made by initramfs-tools' || return
  im_type=$(awk '$1 !~ /^#/ && $2 == "/" { print $3 }' /etc/fstab)
  case $im_type in ext4 | xfs | btrfs) ;; *) leave "the root's file system is not known: '$im_type'" || return ;; esac
  if [ -n "$(find /usr/share/initramfs-tools/scripts /etc/initramfs-tools/scripts -path '*/local-*' -type f ! -name resume ! -name fixrtc ! -name growroot ! -name ntfs_3g)" ]; then
    leave 'the root needs more than a disk driver' || return
  fi
  mkdir -p /etc/initramfs-tools/conf.d && rm -f /etc/initramfs-tools/hooks/zz-parbake-trim || return
  printf '%s\n' '# Written by parbake: boot tuning initrd-minimal.' 'MODULES=list' >/etc/initramfs-tools/conf.d/parbake
  cat >/etc/initramfs-tools/hooks/zz-parbake-minimal <<END || return
#!/bin/sh
# What virtual machines need to find their root and their network cards: see tune.sh of parbake.
[ "\${1:-}" != prereqs ] || exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules $im_type virtio_pci virtio_mmio virtio_blk virtio_scsi nvme sd_mod ahci ata_piix ata_generic \\
  hv_vmbus hv_storvsc pci-hyperv xen-blkfront vmw_pvscsi mptspi \\
  virtio_net ena gve hv_netvsc mana mlx5_core mlx4_en xen-netfront vmxnet3 ixgbevf e1000 e1000e
sed -i 's/^udevadm trigger --type=devices.*/udevadm trigger --type=devices --action=add --subsystem-match=pci --subsystem-match=virtio --subsystem-match=vmbus --subsystem-match=xen --subsystem-match=scsi --subsystem-match=nvme --subsystem-match=block --subsystem-match=net/' \\
  "\$DESTDIR/scripts/init-top/udev"
exit 0
END
  chmod 755 /etc/initramfs-tools/hooks/zz-parbake-minimal && update-initramfs -u -k all
}

# The network comes up while cloud-init's local stage still runs: all Ethernet links by DHCP, which is what cloud-init
# makes of a data source that says nothing about the network.
tune_network_ahead() {
  [ -e /etc/systemd/system/multi-user.target.wants/systemd-networkd.service ] || leave 'systemd-networkd is not what brings up the network' || return
  unit_file cloud-init-local.service || leave 'there is no cloud-init' || return
  grep -v '^\(Before\|Wants\)=network-pre.target$' "$UNIT_FILE" >$UNITS/cloud-init-local.service || return
  mkdir -p /etc/systemd/network || return
  printf '%s\n' '# Written by parbake: boot tuning network-ahead.' '[Match]' 'Type=ether' 'Kind=!*' '[Network]' 'DHCP=ipv4' >/etc/systemd/network/90-parbake.network || return
  printf '%s\n' '# Written by parbake: boot tuning network-ahead.' 'network: { config: disabled }' >/etc/cloud/cloud.cfg.d/95_parbake_network.cfg
}

# Units that serve debugging, other machines' programs, screens or accounting.
tune_units() {
  [ -d $UNITS ] || leave 'there is no systemd' || return
  for un_unit in sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service modprobe@efi_pstore.service \
    modprobe@fuse.service modprobe@loop.service systemd-pstore.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service getty@tty1.service proc-sys-fs-binfmt_misc.automount systemd-binfmt.service; do
    case $un_unit in *binfmt*) [ -z "$(find /etc/binfmt.d /usr/lib/binfmt.d -name '*.conf' 2>/dev/null)" ] || continue ;; esac
    ln -sf /dev/null "$UNITS/$un_unit" || return
  done
}

# Modules that udev loads because the CPU could use them, and a virtual machine seldom does: they stay at hand for modprobe.
tune_modules() {
  [ -d /etc/modprobe.d ] || leave 'there is no modprobe' || return
  printf '%s\n' '# Written by parbake: boot tuning modules.' 'blacklist kvm_amd' 'blacklist kvm_intel' 'blacklist ccp' 'blacklist powernow_k8' \
    'blacklist acpi_cpufreq' 'blacklist psmouse' 'blacklist pcspkr' >/etc/modprobe.d/parbake.conf
}

# Fewer words on the console, no checks of what was just made.
tune_kernel_args() {
  ka_file=/boot/grub/grub.cfg
  [ -f $ka_file ] && grep -q '^# Written by parbake' $ka_file || leave "the boot loader's configuration is not parbake's own" || return
  ! grep -q ' cryptomgr.notests' $ka_file || return 0
  sed -i '/^ *linux /s/$/ quiet cryptomgr.notests fsck.mode=skip/' $ka_file
}

# ------------------------------------------------------------------------------------------------------------------ main

main() {
  m_failed=0
  for m_name; do
    m_function=tune_$(printf '%s' "${m_name%%:*}" | tr - _)
    case $(command -v "$m_function") in
    "$m_function") ;;
    *)
      echo "$m_name: no such tuning" >&2
      return 1
      ;;
    esac
    WHY=
    case $m_name in *:*) "$m_function" "${m_name#*:}" ;; *) "$m_function" ;; esac
    case $? in
    0) echo "$m_name: done" ;;
    3) echo "$m_name: left: $WHY" ;;
    *)
      echo "$m_name: failed" >&2
      m_failed=1
      ;;
    esac
  done
  return $m_failed
}

main "$@"
exit $?
