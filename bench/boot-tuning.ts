/**
 * What boot tuning brings: launches disks alternately and compares launch-to-ready. Reference is the bare base with nothing
 * to do; then the baked image of the sample recipe as it is, and the same image tuned. Targets: tuned at level `same` at
 * most 0.65 times the bare base, at `deeper` at most 0.4 times.
 *
 *   npm run build && node dist/cli.js demo && npx tsx bench/boot-tuning.ts [--rounds 3] [--level same|deeper|both] [--check]
 *
 * As root: the tuned copies are made with a loop device and chroot. `--only a,b` and `--except a,b` choose single tunings,
 * `--image FILE` takes an image from elsewhere, `--disk NAME=FILE` (repeatable) compares disks that are there already,
 * `--no-bare` leaves the bare base out. `--check` looks into every launched machine before it is thrown away,
 * `--times` prints where its time went as well, `--keep FOLDER` keeps the copies.
 *
 * On a machine that others use too, the CPU column says more than the wall column: it is what QEMU itself consumed.
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { findBase } from '../src/base/cache.ts'
import { cloudConfig } from '../src/cloud-config/index.ts'
import type { Context } from '../src/context.ts'
import { fetchImage, findImage } from '../src/image/images.ts'
import { dataRanges } from '../src/image/data-ranges.ts'
import { createOverlay } from '../src/image/qemu-img.ts'
import { readContents } from '../src/image/qcow2/contents.ts'
import { writeQcow2 } from '../src/image/qcow2/write.ts'
import { silentReporter } from '../src/report/reporters.ts'
import { loadTrustedKeys } from '../src/keys/index.ts'
import { launch } from '../src/launch/launch.ts'
import { loadConfig } from '../src/load-config.ts'
import { loadRecipe } from '../src/recipe/load.ts'
import type { Event } from '../src/report/events.ts'
import { openStore } from '../src/store/open.ts'
import { run } from '../src/system/run.ts'
import { tempDir } from '../src/system/temp.ts'
import { chooseTunings } from '../src/tune/choose.ts'
import { guestFacts, type GuestFacts } from '../src/tune/facts.ts'
import { probeAccelerator } from '../src/vm/accelerator.ts'
import { writeSeedIso } from '../src/vm/seed.ts'
import { startGuest } from '../src/vm/vm.ts'
import { countArgument, figureRows } from './figures.ts'

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    level: { type: 'string', default: 'both' },
    only: { type: 'string' },
    except: { type: 'string' },
    image: { type: 'string' },
    disk: { type: 'string', multiple: true },
    'no-bare': { type: 'boolean' },
    check: { type: 'boolean' },
    times: { type: 'boolean' },
    keep: { type: 'string' },
  },
})
const rounds = countArgument(flags.rounds, 3)
const controller = new AbortController()
process.once('SIGINT', () => controller.abort())

/** CPU seconds that the QEMU of this process has used, when a console line says that the guest is ready. */
let readyCpu = 0
let checks: string[] = []
const context: Context = {
  config: await loadConfig(process.cwd()),
  reporter: { emit: watch, close: () => {} },
  signal: controller.signal,
}

function watch(event: Event): void {
  if (event.type !== 'console') return
  if (/parbake: (ready|failed) recipe=/.test(event.line)) readyCpu = qemuCpuSeconds()
  const found = /parbake-check: (.*)$/.exec(event.line)?.[1]
  if (found !== undefined) checks.push(found)
}

/** utime and stime (fields 14 and 15 of proc(5) stat, in hundredths of a second) of the children that are QEMU. */
function qemuCpuSeconds(): number {
  const children = readFileSync('/proc/thread-self/children', 'utf8').trim().split(' ')
  return children
    .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8'))
    .filter((stat) => stat.includes('(qemu-system'))
    .map((stat) => stat.slice(stat.lastIndexOf(')') + 2).split(' '))
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) / 100, 0)
}

interface Measured {
  readonly wall: number
  readonly cpu: number
}

/** Seconds from power-on until a runcmd that only says so has run. */
async function launchBare(path: string): Promise<Measured> {
  await using work = await tempDir('bench')
  const [disk, seed] = [join(work.path, 'disk.qcow2'), join(work.path, 'seed.iso')]
  const userData = cloudConfig().runCommand('echo bench-ready >/dev/console').render()
  await createOverlay(disk, path)
  await writeSeedIso(seed, { userData, metaData: `instance-id: ${randomUUID()}\nlocal-hostname: bench\n` }, context)
  let cpu = 0
  await using vm = await startGuest({
    disk,
    seed,
    memoryMiB: context.config.vm.memoryMiB,
    cpus: context.config.vm.cpus,
    accelerator: await probeAccelerator(context.config.vm.accelerator),
    consoleLog: join(work.path, 'console.log'),
    signal: context.signal,
    timeoutSeconds: 300,
    onLine: (line) => {
      if (/bench-ready/.test(line)) cpu = qemuCpuSeconds()
    },
  })
  const ready = await vm.waitForLine(/bench-ready/, 300)
  return { wall: (ready.atMs - vm.startedAtMs) / 1000, cpu }
}

async function launchImage(path: string, withChecks: boolean): Promise<Measured> {
  readyCpu = 0
  await using launched = await launch(context, {
    recipe,
    disk: { path, imageId: 'bench', base: base.name },
    purpose: 'verify',
  })
  if (withChecks) await launched.vm.waitForLine(/parbake-check: end/, 300)
  process.stderr.write(
    `uptime ${launched.report.readyUptime}, fetch ${launched.report.fetchSeconds}, start ${launched.report.startUptime}\n`,
  )
  return { wall: launched.launchSeconds, cpu: readyCpu }
}

/**
 * Runs in the guest when it is ready and all is quiet, and says what state it is in. Both disks of a comparison get it, so
 * it costs both the same.
 */
const checkUnit = `[Unit]
Description=parbake bench: look at the ready machine
[Service]
StandardOutput=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/sh /usr/local/lib/parbake-check
`
const checkPath = `[Path]
PathExists=/run/cloud-init/result.json
[Install]
WantedBy=multi-user.target
`
const checkScript = String.raw`
say() { sed 's/^/parbake-check: /'; }
# Both have to be over: cloud-init's last stage and the first converge.
while [ ! -e /run/parbake/converged ]; do sleep 1; done
left=60
while [ "$(systemctl is-system-running)" = starting ] && [ $left -gt 0 ]; do
  left=$((left - 1))
  sleep 1
done
systemctl list-jobs --no-legend | sed 's/^/job: /' | say
{
  echo "cloud-init: $(cloud-init status 2>&1 | tr '\n' ' ')"
  echo "errors: $(grep -o '"errors": \[[^]]*\]' /run/cloud-init/result.json)"
  echo "system: $(systemctl is-system-running)"
  systemctl --failed --plain --no-legend | sed 's/^/failed: /'
  for key in /etc/ssh/ssh_host_*_key; do echo "key: $key $(stat -c %a%U%G "$key" "$key.pub" | tr '\n' ' ') $(ssh-keygen -lf "$key" | sed 's/SHA256:[^ ]*/-/')"; done
  for key in /etc/ssh/ssh_host_*_key; do
    [ "$(ssh-keygen -yf "$key" | cut -d' ' -f1,2)" = "$(cut -d' ' -f1,2 "$key.pub")" ] || echo "key: $key and its public key differ"
  done
  getent passwd | cut -d: -f1,3 | sort | tr '\n' ' ' | sed 's/^/users: /'; echo
  ss -Hltn | awk '{print $4}' | sort -u | tr '\n' ' ' | sed 's/^/listening: /'; echo
  ls /var/lib/cloud/instance/sem | sort | tr '\n' ' ' | sed 's/^/semaphores: /'; echo
  systemctl list-units --state=active --type=service,socket,timer,mount --plain --no-legend | awk '{print $1}' | sort | tr '\n' ' ' | sed 's/^/active: /'; echo
  hostname | sed 's/[0-9a-f]\{8\}/-/;s/^/hostname: /'
  cut -c-4096 /etc/hosts | grep -c . | sed 's/^/hosts lines: /'
  df -h / | awk 'NR==2{print "root: " $2}'
  printf 'ssh banner: '; timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/22; head -n1 <&3'; echo
  if [ -e /etc/parbake-bench-times ]; then
    systemd-analyze time
    systemd-analyze critical-chain --no-pager parbake-boot.service
    systemd-analyze blame --no-pager | head -n 40
    cloud-init analyze show | grep -E 'Starting|Finished|Total'
    dmesg | awk -F'[][]' '{t=$2+0; if (t-last>0.2) printf "dmesg: %7.2f +%.2f %s\n", t, t-last, substr($0,1,110); last=t}'
    grep -h 'up ' /run/cloud-init/ds-identify.log /run/cloud-init/cloud-init-generator.log
    grep ' vda ' /proc/diskstats
    awk '{split($2,h,/[:,]/); t=h[1]*3600+h[2]*60+h[3]+h[4]/1000; if (last && t-last>0.15) printf "log: +%.2f after %s\n     then %s\n", t-last, prev, substr($0,12,120); last=t; prev=substr($0,12,120)}' /var/log/cloud-init.log
    for unit in $(systemctl list-units --all --plain --no-legend --type=service,target | awk '{print $1}'); do
      systemctl show -p Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic "$unit" | cut -d= -f2 | tr '\n' ' '
      echo
    done | awk '$2 > 0 || $3 > 0 {printf "times: %8.2f %8.2f %s\n", ($2 ? $2 : $3) / 1e6, $3 / 1e6, $1}' | sort -k2n
  fi
} 2>&1 | say
echo 'parbake-check: end'
`

/**
 * Runs in a mount namespace of its own, so that no other namespace can hold the file system when the disk is read again.
 * DISK OFFSET FOLDER TUNE CHECKS NAMES...: CHECKS is a folder of files to lay over the root, or nothing.
 */
const copyScript = String.raw`
disk=$1 offset=$2 folder=$3 tune=$4 checks=$5
shift 5
mount -o loop,offset="$offset" "$disk" "$folder"
for part in dev proc sys; do mount --bind "/$part" "$folder/$part"; done
if [ $# -gt 0 ]; then
  cp "$tune" "$folder/run/tune.sh"
  chroot "$folder" sh /run/tune.sh "$@"
  rm "$folder/run/tune.sh"
fi
if [ -n "$checks" ]; then
  cp -a --no-preserve=ownership "$checks/." "$folder/"
  ln -sf ../parbake-check.path "$folder/etc/systemd/system/multi-user.target.wants/parbake-check.path"
fi
fstrim "$folder"
for part in dev proc sys; do umount "$folder/$part"; done
umount "$folder"
`

/** A copy of an image with tunings applied, as a compressed qcow2. */
async function tunedCopy(image: string, names: readonly string[], folder: string, name: string): Promise<string> {
  const raw = join(folder, `${name}.raw`)
  const target = join(folder, `${name}.qcow2`)
  const checkFolder = join(folder, 'checks')
  await mkdir(join(folder, 'mnt'), { recursive: true })
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, raw])
  if (flags.check === true) await writeChecks(checkFolder)
  const tune = fileURLToPath(new URL('../bootstrap/tune.sh', import.meta.url))
  const offset = String(await partitionOffset(raw))
  const { stdout } = await run('unshare', [
    ...['-m', '--propagation', 'private', 'sh', '-ec', copyScript, 'sh'],
    ...[raw, offset, join(folder, 'mnt'), tune, flags.check === true ? checkFolder : '', ...names],
  ])
  process.stderr.write(stdout === '' ? '' : `${name}\n${stdout}\n`)
  const { signal } = new AbortController()
  const ranges = await dataRanges({ reporter: silentReporter, signal }, { path: raw, format: 'raw' })
  const { size: sizeBytes } = await stat(raw)
  const contents = await readContents(raw, ranges, signal)
  await writeQcow2({ source: raw, sizeBytes, contents, target, workFolder: folder, signal })
  await rm(raw)
  return target
}

async function writeChecks(folder: string): Promise<void> {
  const [units, lib] = [join(folder, 'etc/systemd/system'), join(folder, 'usr/local/lib')]
  for (const path of [units, lib]) await mkdir(path, { recursive: true })
  await writeFile(join(units, 'parbake-check.service'), checkUnit)
  await writeFile(join(units, 'parbake-check.path'), checkPath)
  await writeFile(join(lib, 'parbake-check'), checkScript)
  if (flags.times === true) await writeFile(join(folder, 'etc/parbake-bench-times'), '')
}

/** Where the first partition begins, in bytes. */
async function partitionOffset(raw: string): Promise<number> {
  const { stdout } = await run('sfdisk', ['--json', raw])
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { sectorsize?: number; partitions: { start: number }[] }
  }
  return (partitiontable.partitions[0]?.start ?? 0) * (partitiontable.sectorsize ?? 512)
}

async function findDemoImage(): Promise<string> {
  const store = await openStore(context.config.store)
  try {
    const place = {
      store,
      recipe: recipe.name,
      channel: context.config.channel,
      trustedKeys: loadTrustedKeys(context.config),
    }
    return await fetchImage(context, place, await findImage(place, 'latest', context.signal))
  } finally {
    store.close()
  }
}

async function makeDisks(folder: string): Promise<ReadonlyMap<string, string>> {
  if (flags.disk !== undefined) {
    return new Map(flags.disk.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]))
  }
  const image = flags.image ?? (await findDemoImage())
  const disks = new Map([['baked image', await tunedCopy(image, [], folder, 'as-baked')]])
  for (const level of flags.level === 'both' ? (['same', 'deeper'] as const) : [flags.level as 'same' | 'deeper']) {
    const facts = await readImageFacts(image, folder)
    const { chosen } = chooseTunings({
      allow: level,
      facts,
      ...(flags.only === undefined ? {} : { include: flags.only.split(',') }),
      ...(flags.except === undefined ? {} : { exclude: flags.except.split(',') }),
    })
    const names = chosen.map((tuning) => tuning.name)
    disks.set(`tuned: ${level}`, await tunedCopy(image, names, folder, level))
  }
  return disks
}

async function readImageFacts(image: string, folder: string): Promise<GuestFacts> {
  const raw = join(folder, 'facts.raw')
  await mkdir(join(folder, 'mnt'), { recursive: true })
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, raw])
  const script =
    'mount -o loop,ro,offset="$2" "$1" "$3"; cat "$3/etc/os-release"; echo ======; cat "$3/var/lib/dpkg/status"; umount "$3"'
  const { stdout } = await run('unshare', [
    ...['-m', '--propagation', 'private', 'sh', '-ec', script, 'sh'],
    ...[raw, String(await partitionOffset(raw)), join(folder, 'mnt')],
  ])
  await rm(raw)
  const [release = '', status = ''] = stdout.split('\n======\n')
  return guestFacts(release, status)
}

const recipe = await loadRecipe(fileURLToPath(new URL('../recipes/web', import.meta.url)))
const base = await findBase(context.config.base, context)
await using work = await tempDir('bench')
const folder = flags.keep ?? work.path
await mkdir(folder, { recursive: true })
const disks = await makeDisks(folder)
const names = [...(flags['no-bare'] === true ? [] : ['bare base']), ...disks.keys()]
const wall = new Map<string, number[]>(names.map((name) => [name, []]))
const cpu = new Map<string, number[]>(names.map((name) => [name, []]))
for (let round = 1; round <= rounds; round += 1) {
  for (const name of names) {
    const path = disks.get(name)
    checks = []
    const measured = path === undefined ? await launchBare(base.path) : await launchImage(path, flags.check === true)
    wall.get(name)?.push(measured.wall)
    cpu.get(name)?.push(measured.cpu)
    process.stderr.write(`${name}: ${measured.wall.toFixed(2)} s, CPU ${measured.cpu.toFixed(2)} s\n`)
    for (const line of checks) process.stderr.write(`  ${line}\n`)
  }
}
process.stdout.write(`wall\n${figureRows(wall, 's')}\nCPU of QEMU\n${figureRows(cpu, 's')}\n`)
