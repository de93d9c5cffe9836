import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { exposeRaw } from '../../src/disk/expose.ts'
import { mountSystem, type MountedSystem } from '../../src/disk/mount.ts'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { sealCheck, type SealReport } from '../../src/seal/check.ts'
import { sealList } from '../../src/seal/list.ts'
import { sealNeedles } from '../../src/seal/needles.ts'
import { scrubDisk } from '../../src/seal/scrub.ts'
import { findTool } from '../../src/system/tools.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { isRoot, testContext } from './support.ts'

const script = new URL('../../bootstrap/seal.sh', import.meta.url).pathname
const context = testContext()
const secret = 'zq81-plm2-xk-00'
const machineId = randomBytes(16).toString('hex')

const cache =
  process.env['PARBAKE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parbake')
const name = join(cache, 'bases/names/debian-12')
const usable = isRoot && existsSync(name) && (await findTool('systemd-nspawn')) !== undefined

// When nothing starts any more, as after cloud-init's last stage.
const unit = `[Unit]
DefaultDependencies=no
After=multi-user.target systemd-update-utmp-runlevel.service getty.target
[Service]
Type=oneshot
ExecStart=/bin/sh /mnt/seal.sh web-1
ExecStopPost=/bin/systemctl poweroff --force
`

/** Boots the mounted system without a network, seals it, and waits until it is off. */
async function bootAndSeal(system: MountedSystem, folder: string): Promise<void> {
  const file = join(folder, 'seal.service')
  await writeFile(file, unit)
  await system.run(
    'systemd-nspawn',
    [
      ...['-q', '-D', system.innerRoot, '--register=no', '--keep-unit', '--boot', '--console=read-only'],
      ...['--private-network', '--resolv-conf=off', '--timezone=off', '--link-journal=no'],
      ...[`--bind-ro=${script}:/mnt/seal.sh`, `--bind-ro=${file}:/run/systemd/system/seal.service`],
      ...['--', 'systemd.wants=seal.service'],
    ],
    // The /tmp of the disk, as in a virtual machine.
    { timeoutMs: 240_000, env: { SYSTEMD_NSPAWN_TMPFS_TMP: '0' } },
  )
}

describe.runIf(usable)('the real base', () => {
  let folder: TempDir
  let plain: SealReport
  let sealed: SealReport
  let scrubbed: number
  let imageId: string

  beforeAll(async () => {
    folder = await tempDir('test-seal-base')
    const base = join(cache, 'bases', (await readFile(name, 'utf8')).trim(), 'disk.qcow2')
    const disk = { path: join(folder.path, 'disk.qcow2'), format: 'qcow2' } as const
    await createOverlay(disk.path, base)
    const secrets = sealNeedles({ credentials: { planted: secret }, identity: { machineId } })
    const look = () => sealCheck(context, { disk, secrets, workFolder: folder.path })
    const change = async (work: (system: MountedSystem) => Promise<void>) => {
      await using raw = await exposeRaw(context, { ...disk, writable: true, workFolder: folder.path })
      await using system = await mountSystem(context, raw, join(folder.path, 'mounted'), { writable: true })
      await work(system)
    }
    plain = await look()
    await change(async (system) => {
      for (const path of [
        'var/log/app.log',
        'root/.bash_history',
        'tmp/x',
        'var/cache/debconf/passwords.dat',
        'root/.ssh/id_rsa',
      ]) {
        await mkdir(join(system.root, path, '..'), { recursive: true })
        await writeFile(join(system.root, path), `Value: ${secret}\n`)
      }
      await writeFile(join(system.root, 'etc/machine-id'), `${machineId}\n`)
      await mkdir(join(system.root, 'var/log/journal'), { recursive: true })
      for (let index = 0; index < 50; index += 1)
        await writeFile(join(system.root, `opt/${index}`), `${secret}\n`.repeat(200))
      await system.run('sync', ['-f', system.innerRoot])
      for (let index = 0; index < 50; index += 1) await rm(join(system.root, `opt/${index}`))
    })
    await change(async (system) => {
      await bootAndSeal(system, folder.path)
      imageId = await readFile(join(system.root, 'var/lib/parbake/image'), 'utf8')
    })
    scrubbed = (await scrubDisk(context, { disk, workFolder: folder.path })).bytes
    sealed = await look()
  }, 600_000)
  afterAll(() => folder[Symbol.asyncDispose]())

  test('as it is built has no private keys, no tokens and nothing in free space', () => {
    const ours = new Set(sealList.map(({ id }) => id))
    expect(plain.findings.filter(({ id }) => !ours.has(id))).toEqual([])
    expect(plain.filesLooked).toBeGreaterThan(5000)
    expect(plain.bytesLooked).toBeGreaterThan(300_000_000)
  })

  test('sealed from inside, as a booted system, has none', () => {
    expect(imageId).toBe('web-1\n')
    expect(scrubbed).toBeGreaterThan(0)
    expect(sealed.findings).toEqual([])
  })
})
