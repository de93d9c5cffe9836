import { lstat, open, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { rawFolder } from '../../base/raw.ts'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import { exposeRaw } from '../../disk/expose.ts'
import { mountSystem } from '../../disk/mount.ts'
import { detectDiskFormat } from '../../image/disk-format.ts'
import { writeFileAtomic } from '../../system/atomic-file.ts'
import { tempDir } from '../../system/temp.ts'
import type { BakeJob } from '../engine.ts'
import { findBaseRaw } from './base-raw.ts'

const factsSchema = z.object({
  v: z.literal(1),
  /** As Node names it, e.g. `x64`; '' where it is another one or there is no systemd. */
  architecture: z.string(),
  systemd: z.boolean(),
  cloudInit: z.boolean(),
  /** How names are resolved: by systemd-resolved, or by a file that says it all, or in a way that is not known. */
  resolver: z.enum(['resolved', 'file', 'unknown']),
  rootType: z.string(),
  /** What fstab mounts from the same disk besides the root. */
  mounts: z.array(z.string()),
})

/** What decides whether a base can be booted in a container. */
export type BaseFacts = Readonly<z.infer<typeof factsSchema>>

/** Looks into the base, or at what an earlier look has found. Throws UserError where it holds no system. */
export async function baseFacts(context: Context, base: BakeJob['base']): Promise<BaseFacts> {
  const path = join(rawFolder(context), `${base.digest}.json`)
  const known = await readFile(path, 'utf8').then(
    (text) => factsSchema.safeParse(JSON.parse(text)),
    () => undefined,
  )
  if (known?.success === true) return known.data
  const facts = await look(context, base)
  await writeFileAtomic(path, `${JSON.stringify(facts)}\n`)
  return facts
}

async function look(context: Context, base: BakeJob['base']): Promise<BaseFacts> {
  await using work = await tempDir('base')
  const format = await detectDiskFormat(base.path)
  await using disk =
    (await findBaseRaw(context, base)) ??
    (await exposeRaw(context, { path: base.path, format, writable: false, workFolder: work.path }))
  await using system = await mountSystem(context, disk, join(work.path, 'root'), { writable: false, rootOnly: true })
  const machine = await systemdMachine(system.root)
  return {
    v: 1,
    architecture: machine === undefined ? '' : (architectures[machine] ?? ''),
    systemd: machine !== undefined,
    cloudInit: (await entry(join(system.root, 'usr/bin/cloud-init'))) !== undefined,
    resolver: await resolverOf(system.root),
    rootType: system.rootPartition.fs?.type ?? '',
    mounts: system.wanted.map(({ target }) => target),
  }
}

/** `e_machine` of an ELF header. */
const architectures: Readonly<Record<number, string>> = {
  0x3e: 'x64',
  0xb7: 'arm64',
  0xf3: 'riscv64',
  0x15: 'ppc64',
  0x16: 's390x',
}

async function systemdMachine(root: string): Promise<number | undefined> {
  for (const path of ['usr/lib/systemd/systemd', 'lib/systemd/systemd']) {
    const found = await entry(join(root, path))
    if (found?.isFile() !== true) continue
    const file = await open(join(root, path), 'r')
    try {
      const { buffer } = await file.read(Buffer.alloc(20), 0, 20, 0)
      return buffer.toString('latin1', 0, 4) === '\u007fELF' ? buffer.readUInt16LE(18) : undefined
    } finally {
      await file.close()
    }
  }
  return undefined
}

async function resolverOf(root: string): Promise<BaseFacts['resolver']> {
  const path = join(root, 'etc/resolv.conf')
  const found = await entry(path)
  if (found?.isSymbolicLink() === true) {
    return /\/run\/systemd\/resolve\//.test(`/${await readlink(path)}`) ? 'resolved' : 'unknown'
  }
  if (found?.isFile() !== true) return 'unknown'
  return /^\s*nameserver\s/m.test(await readFile(path, 'utf8')) ? 'file' : 'unknown'
}

async function entry(path: string) {
  return lstat(path).catch(() => undefined)
}

/** Mount points that steps in a container only read: the boot loader's, which need the real disk. */
export const bootFolders: readonly string[] = ['/boot', '/boot/efi', '/efi', '/boot/firmware']

/** Why a base cannot be booted in a container; undefined where it can. Pure. */
export function baseObstacle(facts: BaseFacts, hostArchitecture: string): string | undefined {
  if (!facts.systemd) return 'the base has no systemd'
  if (!facts.cloudInit) return 'the base has no cloud-init'
  if (facts.architecture !== hostArchitecture) {
    return `the base is not for this machine's processor (${hostArchitecture})`
  }
  const others = facts.mounts.filter((target) => !bootFolders.includes(target))
  if (others.length > 0) return `the base has file systems of their own for ${others.join(', ')}`
  if (facts.resolver === 'unknown') return 'the base gets its name servers in a way that does not work in a container'
  return undefined
}

/** `baseObstacle` of a base, with what cannot be read told in words too. */
export async function findBaseObstacle(context: Context, base: BakeJob['base']): Promise<string | undefined> {
  try {
    return baseObstacle(await baseFacts(context, base), process.arch)
  } catch (error) {
    if (error instanceof UserError) return error.message
    throw error
  }
}
