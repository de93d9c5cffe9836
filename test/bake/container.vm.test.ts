import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { containerEngine } from '../../src/bake/container/engine.ts'
import { chooseNet, hostAddresses } from '../../src/bake/container/network.ts'
import { mountOverlay } from '../../src/bake/container/overlay.ts'
import type { BakeJob, SealedDisk } from '../../src/bake/engine.ts'
import type { Context } from '../../src/context.ts'
import { exposeRaw, fuseObstacle } from '../../src/disk/expose.ts'
import { mountSystem } from '../../src/disk/mount.ts'
import { openNamespace } from '../../src/disk/namespace.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { loopsIn, processesOf } from '../disk/support.ts'
import { bakeContext, builtBase, eventually, isRunning, listTree, processTree } from './container-support.ts'
import { bakeJob } from './vm-job.ts'

const base = await builtBase()
const worker = fileURLToPath(new URL('hold-session.ts', import.meta.url))

/** Everything that is hard to copy, and much that is taken away again. */
const writeScript = `
set -e
mkdir -p /srv/tree/deep && echo new >/srv/tree/deep/file
printf 'x' >'/srv/tree/blank and
newline'
echo changed >>/etc/issue
touch -r /etc/debian_version /etc/issue
rm /etc/issue.net && rm -r /usr/share/doc && mkdir /usr/share/doc && echo doc >/usr/share/doc/only
cp /usr/bin/id /usr/local/bin/one && ln /usr/local/bin/one /usr/local/bin/two && chmod 4755 /usr/local/bin/one
setcap cap_net_raw+ep /usr/local/bin/one 2>/dev/null || python3 -c "
import os
os.setxattr('/usr/local/bin/two', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))"
python3 -c "import os; os.setxattr('/usr/share/doc/only', 'user.note', b'kept')"
truncate -s 40M /var/sparse && echo end >>/var/sparse
mkfifo /srv/fifo && ln -s ../no/where /srv/dangling && ln -s /etc /srv/absolute
chown 1234:4321 /srv/fifo && chown -h 77:88 /srv/dangling
rm -r /opt && echo file >/opt
mv /etc/cron.daily /etc/cron.moved
needle=$(printf 'tupni-%s' deteled | rev)
for n in 1 2 3 4 5 6 7 8; do yes "$needle" | head -c 1000000 >/root/gone$n; done
sync
rm /root/gone*
`

describe.skipIf(base === undefined || process.getuid?.() !== 0)('a bake in a container', () => {
  let folder: TempDir
  let context: Context
  let job: BakeJob
  let earlier: BakeJob
  let server: Server
  const abort = new AbortController()
  let obstacle: string | undefined

  beforeAll(async () => {
    folder = await tempDir('container')
    context = await bakeContext(join(folder.path, 'cache'), abort.signal)
    server = createServer((_request, response) => response.end('from the host'))
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    const steps = [
      { name: 'write', script: writeScript },
      { name: 'isolated', script: isolatedScript((server.address() as AddressInfo).port), timeoutSeconds: 300 },
      { name: 'second', script: 'echo second >/etc/second; rm -r /srv/tree; echo now a file >/srv/tree' },
      { name: 'fails', script: 'echo what went wrong; exit 7', needs: [] },
    ]
    job = await bakeJob(base!, steps, 7)
    // As a bake to a file has it, or one from another store.
    earlier = await bakeJob(base!, steps, 1)
    obstacle = await containerEngine.obstacle(job, context)
  })
  afterAll(async () => {
    server.close()
    await folder[Symbol.asyncDispose]()
  })

  function folders(...names: readonly string[]): readonly string[] {
    return names.map((name) => {
      const path = join(folder.path, name)
      mkdirSync(path)
      return path
    })
  }

  /** What must not be left of a bake in these folders. */
  function leftovers(): readonly string[] {
    return [...loopsIn(folder.path), ...processesOf(folder.path)]
  }

  let kept: { readonly layer: string; readonly note: { readonly instanceId: string } } | undefined

  test('runs steps, is cut off from the host, keeps a state, seals a thin disk', async () => {
    expect(obstacle).toBeUndefined()
    const [work = '', first = '', second = ''] = folders('work-a', 'layer-a1', 'layer-a2')
    const cache = createServer((_request, response) => response.end('cached'))
    await new Promise<void>((resolve) => cache.listen(0, '127.0.0.1', resolve))
    let disk: SealedDisk
    {
      const { port } = cache.address() as AddressInfo
      await using session = await containerEngine.open(job, { layer: first, work, packageCache: { port } }, context)
      expect(session.accelerator).toBe('native')
      expect((await session.runStep('write')).steps[0]).toMatchObject({
        name: 'write',
        outcome: 'ran',
      })
      const { sizeBytes, note } = await session.keep(second)
      expect(sizeBytes).toBeGreaterThan(100_000)
      expect(sizeBytes).toBeLessThan(40_000_000)
      expect(readdirSync(first)).toEqual(['upper'])
      kept = { layer: first, note: note as { instanceId: string } }
      const isolated = (await session.runStep('isolated')).steps.find((step) => step.name === 'isolated')
      expect([isolated?.outcome, isolated?.output]).toEqual(['ran', undefined])
      const entered = execFileSync('sh', [
        '-c',
        `${session.enterCommand().replace(/sh -c .*/, '')} hostname`,
      ]).toString()
      expect(entered).toBe('parbake-bake\n')
      const failed = (await session.runStep('fails')).steps.find((step) => step.name === 'fails')
      expect(failed).toMatchObject({
        outcome: 'failed',
        exit: 7,
        output: expect.stringContaining('what went wrong') as string,
      })
      expect(readFileSync(session.consoleLog, 'utf8')).toContain('cloud-init')
      disk = await session.seal({ imageId: 'tiny-1', thin: (await fuseObstacle()) === undefined })
    }
    cache.close()
    await checkDisk(disk, [first, second])
    expect(leftovers()).toEqual([])
  })

  test('goes on from a kept state as the same machine, seals a whole disk', async () => {
    const [work = '', layer = ''] = folders('work-b', 'layer-b')
    const before = listOf(join(kept!.layer, 'upper'))
    let disk: SealedDisk
    {
      const from = { folder: kept!.layer, chain: [kept!.layer], note: kept!.note }
      await using session = await containerEngine.open(earlier, { from, layer, work }, context)
      const report = await session.runStep('second')
      expect(report.instance).toBe(kept!.note.instanceId)
      expect(report.steps.map((step) => [step.name, step.outcome]).slice(0, 3)).toEqual([
        ['write', 'stamped'],
        ['isolated', expect.stringMatching(/excluded|blocked/)],
        ['second', expect.stringMatching(/ran|blocked/)],
      ])
      disk = await session.seal({ imageId: 'tiny-2', thin: false })
    }
    expect(disk.format).toBe('raw')
    await checkDisk(disk, [kept!.layer, layer])
    // What others may be using at the same time has not changed.
    expect(listOf(join(kept!.layer, 'upper'))).toBe(before)
    expect(leftovers()).toEqual([])
  })

  test('stops where the user says so, and leaves nothing', async () => {
    const [work = '', layer = ''] = folders('work-c', 'layer-c')
    const stop = new AbortController()
    const own = { ...context, signal: stop.signal }
    const long = await bakeJob(base!, [{ name: 'long', script: 'sleep 3600' }])
    {
      await using session = await containerEngine.open(long, { layer, work }, own)
      setTimeout(() => stop.abort(), 300)
      await expect(session.runStep('long')).rejects.toMatchObject({ name: 'InterruptedError' })
    }
    expect(leftovers()).toEqual([])
  })

  test('ends with a process that is killed in the middle of a step', async () => {
    const own = join(folder.path, 'killed')
    mkdirSync(own)
    const child = spawn(process.execPath, ['--import', 'tsx', worker, own, context.config.cacheDir], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const started = join(own, 'work', 'control-1', 'started')
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
    let exit: number | null | undefined
    void ended.then((code) => (exit = code))
    while (!existsSync(started) && exit === undefined) await new Promise((resolve) => setTimeout(resolve, 100))
    expect(exit).toBeUndefined()
    const all = processTree(child.pid ?? 0)
    expect(all.length).toBeGreaterThan(10)
    child.kill('SIGKILL')
    expect(await eventually(() => all.filter(isRunning).length === 0)).toBe(true)
    expect(await eventually(() => leftovers().length === 0)).toBe(true)
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(own)
  })

  test('a step that needs a VM is an obstacle, told in words', async () => {
    expect(await containerEngine.obstacle({ ...job, vmStepNames: ['kernel'] }, context)).toBe(
      'step kernel requires a VM',
    )
  })

  /** The disk holds what the layers show, to the last attribute, and nothing that was deleted. */
  async function checkDisk(disk: SealedDisk, layers: readonly string[]): Promise<void> {
    await using work = await tempDir('check', folder.path)
    await using raw = await exposeRaw(context, { ...disk, writable: false, workFolder: work.path })
    await using written = await mountSystem(context, raw, join(work.path, 'disk'), { writable: false })
    await using namespace = await openNamespace(context)
    await using lower = await rawBase(work.path)
    await using below = await mountSystem(context, lower, join(work.path, 'base'), { writable: false, namespace })
    expect(below.mounts).toHaveLength(1)
    const place = { namespace, lower: join(work.path, 'base'), links: join(work.path, 'links') }
    const merged = join(work.path, 'merged')
    await mountOverlay(place, layers, merged, { readOnly: true })
    const [expected, found] = [
      (await namespace.run('python3', ['-c', listTree, merged])).stdout.split('\n'),
      (await written.run('python3', ['-c', listTree, written.innerRoot])).stdout.split('\n'),
    ]
    await namespace.run('umount', [merged])
    expect(found.length).toBeGreaterThan(5000)
    const [there, wanted] = [new Set(found), new Set(expected)]
    expect(found.filter((line) => !wanted.has(line))).toEqual([])
    expect(expected.filter((line) => !there.has(line))).toEqual([])
    for (const name of ['user.note', 'security.capability', 'sparse']) {
      expect([name, found.some((line) => line.includes(`'${name}'`))]).toEqual([name, true])
    }
    const offset = written.rootPartition.startBytes
    execFileSync('e2fsck', ['-f', '-n', `${raw.path}?offset=${offset}`], { stdio: 'ignore' })
    const grep = ['-a', '-c', '-m', '1', 'deleted-input', disk.path]
    expect(() => execFileSync('grep', grep, { stdio: 'ignore' })).toThrow(/failed/)
    expect(() => execFileSync('grep', ['-a', '-c', '-m', '1', folder.path, disk.path], { stdio: 'ignore' })).toThrow(
      /failed/,
    )
    if (disk.format === 'qcow2') execFileSync('qemu-img', ['check', '-q', disk.path])
  }

  async function rawBase(workFolder: string) {
    const path = join(context.config.cacheDir, 'raw', `${base!.digest}.raw`)
    return exposeRaw(context, { path, format: 'raw', writable: false, workFolder })
  }

  function listOf(path: string): string {
    return execFileSync('python3', ['-c', listTree, path]).toString()
  }
})

/** Fails where it can reach what it must not, also after it has done what root can do about it. */
function isolatedScript(port: number): string {
  const addresses = hostAddresses().map(({ address }) => address)
  const net = chooseNet(hostAddresses())
  const others = addresses.filter((address) => !address.startsWith('127.'))
  const forbidden = [...addresses, `${net}.2`, `${net}.4`, `${net}.100`].map((address) => `http://${address}:${port}/`)
  return `
set -eu
refused() { if curl -s -m 5 -o /dev/null "$1"; then echo "reached $1"; exit 1; fi; }
try() { for url in ${forbidden.join(' ')} http://169.254.169.254/; do refused "$url"; done; }
try
${others.map((address) => `ip route replace ${address}/32 via ${net}.2`).join('\n')}
try
proxy=$(sed -n 's/.*Proxy "\\(http[^"]*\\)".*/\\1/p' /etc/apt/apt.conf.d/00parbake-bake)
[ "$(curl -s -m 10 "$proxy/")" = cached ] || { echo "no cache at $proxy"; exit 1; }
[ "$(ls /etc/systemd/network)" = "" ] || { ls /etc/systemd/network; exit 1; }
ip -o -4 address show eth0 | grep -F 'brd ${net}.255' || { ip address; exit 1; }
resolvectl dns eth0 | grep -F '${net}.3' || { resolvectl status; exit 1; }
if mknod /root/disk b 8 0 2>/dev/null; then echo 'made a device'; exit 1; fi
mkdir /root/m
for type in devtmpfs cgroup; do if mount -t $type none /root/m 2>/dev/null; then echo "mounted $type"; exit 1; fi; done
rmdir /root/m
if echo x 2>/dev/null >/proc/sys/kernel/core_pattern; then echo 'wrote a setting of the kernel'; exit 1; fi
timeout 30 systemctl is-system-running --wait || { systemctl --failed --no-legend; exit 1; }
id -u nobody && [ "$(cat /proc/1/comm)" = systemd ]
getent hosts localhost
`
}
