import { cp, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { random } from '../../bench/random.ts'
import { readReady } from '../../src/base/ready.ts'
import { guestFolder, mediumLabel, writeMedium } from '../../src/bake/guest-files.ts'
import { cloudConfig } from '../../src/cloud-config/index.ts'
import { exposeRaw } from '../../src/disk/expose.ts'
import { mountSystem } from '../../src/disk/mount.ts'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import type { Sha256 } from '../../src/util/sha256.ts'
import { startQemu } from '../../src/vm/qemu-process.ts'
import { writeDataIso, writeSeedIso } from '../../src/vm/seed.ts'
import { bakeJob } from '../bake/vm-job.ts'
import { isRoot, testContext } from '../seal/support.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { readLog, replay, withFile, type LoggedWrite } from '../support/log-writes.ts'
import { cliJson, fullOnly, vmEnvironment } from '../vm/support.ts'

/**
 * The power fails in the middle of a converge. One real boot is recorded, write by write, with the guest's own flushes; each
 * cut is a disk as it may be left: all that was flushed, and any part of what was written since. Nothing of the host's page
 * cache saves the guest here, as it would if QEMU were only killed.
 */
const cuts = fullOnly ? 50 : 8

/** What each step leaves: a file that is long in coming, and its digest, neither of them synced by the step itself. */
const script = (name: string) => `#!/bin/sh
set -eu
for part in 1 2 3 4; do head -c 65536 /dev/urandom; done >/srv/${name}.new
mv /srv/${name}.new /srv/${name}
cd /srv && sha256sum ${name} >${name}.sum
`
const names = ['one', 'two', 'three', 'four', 'five', 'six']
const media = `${guestFolder}/media`

interface Recorded {
  readonly writes: readonly LoggedWrite[]
  /** Index of the first write after the first step began, and after the converge was over. */
  readonly from: number
  readonly to: number
}

describe.runIf(isRoot)('a power cut in a converge', { timeout: 3_600_000 }, () => {
  const context = testContext()
  let home: CliHome
  let folder: TempDir
  let base: { readonly name: string; readonly digest: Sha256; readonly path: string }
  let recorded: Recorded
  const path = (name: string) => join(folder.path, name)

  beforeAll(async () => {
    home = await cliHome()
    folder = await tempDir('test-power')
    base = await cliJson(home, await vmEnvironment(home), 'base', 'build', 'debian-12')
    const job = await bakeJob(
      base,
      names.map((name) => ({ name, script: script(name), needs: [] })),
    )
    await mkdir(path('medium'))
    await writeMedium(path('medium'), job)
    recorded = await record()
  }, 1_200_000)

  afterAll(async () => {
    await folder?.[Symbol.asyncDispose]()
    await home?.[Symbol.asyncDispose]()
  })

  /** Boots the base, lets it converge, and takes down what it writes. */
  async function record(): Promise<Recorded> {
    const install = [
      ...[`mkdir -p ${media} /etc/parbake`, `mount -o ro /dev/disk/by-label/${mediumLabel} ${media}`],
      ...[`cp ${media}/agent.sh /usr/local/sbin/parbake-agent`, 'chmod 755 /usr/local/sbin/parbake-agent'],
      ...[`cp ${media}/agent.conf /etc/parbake/agent.conf`, 'sync', '/usr/local/sbin/parbake-agent boot'],
    ]
    const config = cloudConfig().set('users', []).set('ssh_genkeytypes', ['ed25519'])
    const userData = install.reduce((each, line) => each.runCommand(line), config).render()
    await writeSeedIso(path('seed.iso'), { userData, metaData: 'instance-id: iid-power\n' }, context)
    await writeDataIso(path('medium.iso'), path('medium'), mediumLabel, context)
    await createOverlay(path('disk.qcow2'), base.path)
    await run('truncate', ['-s', '0', path('log')])
    let console = ''
    const qemu = await startQemu({
      args: await machine(),
      consoleLog: path('console'),
      onConsole: (chunk) => (console += chunk.toString()),
    })
    try {
      const seen = async (pattern: RegExp) => {
        const deadline = performance.now() + 900_000
        while (!pattern.test(console)) {
          if (performance.now() > deadline) throw new Error(`no ${String(pattern)}:\n${console.slice(-3000)}`)
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        return (await stat(path('log'))).size
      }
      const began = await seen(/parbake: step \w+ runs/)
      const ended = await seen(/parbake: (ready|failed) /)
      expect(console).toMatch(/parbake: ready .*ran=6/)
      qemu.kill()
      await qemu.exited
      const writes = await withFile(path('log'), 'r', readLog)
      const after = (size: number) => writes.findIndex(({ data }) => data !== undefined && data >= size)
      return { writes, from: after(began), to: after(ended) === -1 ? writes.length : after(ended) }
    } finally {
      qemu.kill()
      await qemu.exited
    }
  }

  async function machine(): Promise<string[]> {
    const ready = await readReady(base)
    if (ready === undefined) throw new Error('the base has no kernel made ready')
    const json = (options: object) => ['-blockdev', JSON.stringify(options)]
    const file = (filename: string) => ({ driver: 'file', filename })
    const iso = (name: string) => [
      ...json({ driver: 'raw', 'node-name': name, 'read-only': true, file: file(path(`${name}.iso`)) }),
      ...['-device', `virtio-blk-pci,drive=${name}`],
    ]
    return [
      ...['-nodefaults', '-no-user-config', '-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
      ...['-smp', '2', '-m', '1024', '-display', 'none', '-device', 'virtio-rng-pci'],
      ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
      ...['-kernel', ready.kernel, '-initrd', ready.initrd, '-append', ready.arguments],
      ...json({ driver: 'qcow2', 'node-name': 'image', file: file(path('disk.qcow2')) }),
      ...json({ driver: 'blklogwrites', 'node-name': 'disk', file: 'image', log: file(path('log')) }),
      ...['-device', 'virtio-blk-pci,drive=disk', ...iso('seed'), ...iso('medium')],
      // A system without a network card waits for one.
      ...['-netdev', 'user,id=net,restrict=on', '-device', 'virtio-net-pci,netdev=net,romfile='],
    ]
  }

  /** The places of the cuts in the log, spread over the converge. */
  function places(): readonly number[] {
    const { from, to } = recorded
    return Array.from({ length: cuts }, (_, index) => from + Math.floor(((index + 0.5) * (to - from)) / cuts))
  }

  /** What is left of the disk by a cut, in a file of its own, made from what is durable until then. */
  async function cutDisk(durable: string, since: readonly LoggedWrite[], next: () => number): Promise<string> {
    const disk = path('cut.raw')
    await run('cp', ['--sparse=always', durable, disk])
    await withFile(path('log'), 'r', (log) =>
      withFile(disk, 'r+', async (target) => {
        for (const write of since) if (next() < 0.5) await replay(write, log, target)
      }),
    )
    return disk
  }

  test(`at ${cuts} moments: no stamp without its work, and the next converge ends as if nothing had been`, async () => {
    const { writes, from, to } = recorded
    expect(to - from).toBeGreaterThan(cuts)
    const durable = path('durable.raw')
    await run('qemu-img', ['convert', '-O', 'raw', base.path, durable])
    const next = random(20261121)
    let applied = 0
    const stampsAtCut: number[] = []
    for (const place of places()) {
      const flushed = writes.slice(0, place).findLastIndex(({ isFlush }) => isFlush) + 1
      await withFile(path('log'), 'r', (log) =>
        withFile(durable, 'r+', async (target) => {
          for (; applied < flushed; applied += 1) await replay(writes[applied] as LoggedWrite, log, target)
        }),
      )
      stampsAtCut.push(await recover(await cutDisk(durable, writes.slice(applied, place), next)))
    }
    // Both before and after some steps had ended, or nothing would have been tried.
    expect(Math.min(...stampsAtCut)).toBeLessThan(names.length)
    expect(Math.max(...stampsAtCut)).toBeGreaterThan(0)
    process.stdout.write(
      `${cuts} power cuts: every host recovered; stamps found after them: ${stampsAtCut.join(' ')}\n`,
    )
  })

  /** Mounts a disk as the next boot would, looks, and lets the agent converge. Gives the number of stamps found. */
  async function recover(path: string): Promise<number> {
    await using disk = await exposeRaw(context, { path, format: 'raw', writable: true, workFolder: folder.path })
    await using system = await mountSystem(context, disk, join(folder.path, 'root'), { writable: true })
    const inside = (script: string) => system.run('chroot', [system.innerRoot, 'sh', '-c', script])
    const state = join(system.root, 'var/lib/parbake')
    const stamps = await readdir(join(state, 'stamps')).catch(() => [])
    for (const stamp of stamps) {
      const [mark, name = ''] = (await readFile(join(state, 'stamps', stamp), 'utf8')).trim().split(' ')
      expect({ mark, known: names.includes(name) }).toEqual({ mark: 'runtime', known: true })
      await inside(`cd /srv && sha256sum -c ${name}.sum`)
    }
    await rm(join(system.root, 'run'), { recursive: true, force: true })
    await mkdir(join(system.root, `${media}/..`), { recursive: true })
    await cp(join(folder.path, 'medium'), join(system.root, media), { recursive: true })
    const agent =
      'mount -t proc proc /proc && mount -t devtmpfs dev /dev && PARBAKE_CONSOLE=/dev/null /usr/local/sbin/parbake-agent run; ' +
      'code=$?; umount /dev /proc; exit $code'
    await inside(agent)
    await inside(`cd /srv && sha256sum -c ${names.map((name) => `${name}.sum`).join(' ')}`)
    expect(await readdir(join(state, 'stamps'))).toHaveLength(names.length)
    await inside(agent)
    expect(await readFile(join(state, 'status'), 'utf8')).toMatch(/ ran=0 stamped=6 /)
    return stamps.length
  }
})
