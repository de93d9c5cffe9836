import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { imageInfo } from '../image/qemu-img.ts'
import { phase } from '../report/events.ts'
import { formatBytes } from '../report/reporters.ts'
import { lockFile } from '../system/file-lock.ts'
import { run } from '../system/run.ts'
import { needTool, probeTool, toolSpecs } from '../system/tools.ts'
import { canonicalJson, type Json } from '../util/canonical-json.ts'
import { sha256, sha256File, type Sha256 } from '../util/sha256.ts'
import { archiveDate } from './archive-date.ts'
import { aptLines } from './archive-versions.ts'
import { basesDir, readBase, readPointer, storeBase, workFolder, writePackages } from './cache.ts'
import { installBootLoaders } from './boot-loader.ts'
import type { BaseDefinition } from './definition.ts'
import { resolveDefinition, type Mirrors } from './definitions.ts'
import { needDiskTools, partitionDisk, writeOverlayTar, writeRootFileSystem } from './disk.ts'
import { planDisk } from './disk-plan.ts'
import { compressDisk } from './compress.ts'
import { keepRaw } from './raw.ts'
import { describeDisk } from './inspect.ts'
import type { Base } from './model.ts'
import { parseInstalled, type InstalledPackage } from './packages.ts'
import { readyFolder, readyHooks, readyVersion } from './ready.ts'

export interface BuildBaseOptions extends Mirrors {
  /** Build even if there is a base from the same definition: its packages may be older than the archive's. */
  readonly force?: boolean
}

/** Raised when this file builds another disk from the same definition. */
const builderVersion = 3

/**
 * Builds a base from distribution packages, or returns the one in the cache that was built from the same definition by
 * the same tools. Needs no root where user namespaces work. Whatever interrupts it, the cache holds whole bases only.
 */
export async function buildBase(nameOrFile: string, context: Context, options: BuildBaseOptions = {}): Promise<Base> {
  const definition = await resolveDefinition(nameOrFile, options)
  await needTool('mmdebstrap')
  await needDiskTools(definition)
  const root = basesDir(context)
  const digest = definitionDigest(definition, await toolVersions(context.signal))
  await using _ = await lockFile(join(root, '.lock'), context.signal, () =>
    context.reporter.emit({ type: 'note', text: `waiting for another build in ${root}` }),
  )
  const label = `base ${definition.name}`
  const cached = options.force === true ? undefined : await findBuilt(root, digest)
  if (cached !== undefined) {
    context.reporter.emit({ type: 'phase-start', phase: label })
    context.reporter.emit({
      type: 'phase-end',
      phase: label,
      seconds: 0,
      cached: true,
      detail: `built ${cached.builtAt}`,
    })
    return cached
  }
  // Without await the lock would be released now.
  return await buildDisk(root, definition, digest, context)
}

async function findBuilt(root: string, definition: Sha256): Promise<Base | undefined> {
  const digest = await readPointer(root, 'definitions', definition)
  return digest === undefined ? undefined : readBase(root, digest)
}

/** Names what a build is made from, but for the state of the archive: definition, builder, tools with versions. */
export function definitionDigest(definition: BaseDefinition, tools: ToolVersions): Sha256 {
  return sha256(
    canonicalJson({ v: builderVersion, ready: readyVersion(), definition: definition as unknown as Json, tools }),
  )
}

type ToolVersions = Readonly<Record<string, string | null>>

async function toolVersions(signal: AbortSignal): Promise<ToolVersions> {
  const names = ['mmdebstrap', 'mke2fs', 'grub-mkimage', 'mkfs.fat', 'mcopy', 'qemu-img']
  const specs = toolSpecs.filter((spec) => names.includes(spec.name))
  const tools = await Promise.all(specs.map((spec) => probeTool(spec, signal)))
  return Object.fromEntries(tools.map((tool) => [tool.name, tool.version ?? null]))
}

async function buildDisk(root: string, definition: BaseDefinition, digest: Sha256, context: Context): Promise<Base> {
  const { reporter, signal } = context
  const epoch = (await archiveDate(definition, signal)) ?? Math.floor(Date.now() / 1000)
  await using work = await workFolder(root, 'base')
  const output = join(work.path, 'output')
  await mkdir(output)
  const ready = join(output, readyFolder)
  const paths = { folder: work.path, tree: join(work.path, 'tree.tar'), disk: join(work.path, 'disk.raw'), ready }

  const packages = await phase(
    reporter,
    `install ${definition.distribution}`,
    () => installPackages(paths, definition, epoch, context),
    (installed) => ({ detail: `${installed.length} packages` }),
  )
  await phase(reporter, 'make a bootable disk', async () => {
    const partitions = planDisk(definition)
    await partitionDisk(paths.disk, definition.disk, partitions, context)
    for (const place of partitions.filter(({ role }) => role === 'root')) {
      await writeRootFileSystem(paths, definition.disk, place, epoch, context)
    }
    await installBootLoaders({ folder: work.path, disk: paths.disk }, partitions, epoch, context)
    await rm(paths.tree)
  })
  const described = await describeDisk(paths.disk, context)
  const target = join(output, 'disk.qcow2')
  await phase(
    reporter,
    'compress the disk',
    () => compressDisk(context, { source: paths.disk, target, workFolder: work.path }),
    (bytes) => ({ detail: formatBytes(bytes) }),
  )
  const info = await imageInfo(target, { signal })
  await writePackages(output, packages)
  const { mirror, securityMirror, keyring, suite, components, architecture } = definition
  const base = await storeBase(root, output, {
    v: 1,
    name: definition.name,
    digest: await sha256File(target, signal),
    format: 'qcow2',
    sizeBytes: (await stat(target)).size,
    virtualSizeBytes: info.virtualSizeBytes,
    distribution: definition.distribution,
    builtAt: new Date().toISOString(),
    packages: packages.length,
    definitionDigest: digest,
    archive: { mirror, securityMirror, keyring, suite, components, architecture },
    ...described,
  })
  await keepRaw(context, base.digest, paths.disk)
  return base
}

/** Runs mmdebstrap and returns the packages that it installed. */
async function installPackages(
  paths: { readonly folder: string; readonly tree: string; readonly ready: string },
  definition: BaseDefinition,
  epoch: number,
  context: Context,
): Promise<readonly InstalledPackage[]> {
  const sources = aptLines(definition)
  const overlay = await writeOverlayTar(paths.folder, definition, `${sources.join('\n')}\n`, epoch, context)
  const status = join(paths.folder, 'dpkg-status')
  const asRoot = process.getuid?.() === 0
  if (!asRoot) await chmod(paths.folder, 0o755)
  const hooks = [
    ...definition.prepare,
    `tar-in ${overlay} /`,
    ...definition.finish,
    ...readyHooks(paths.ready),
    `download /var/lib/dpkg/status ${status}`,
  ]
  await run(
    await needTool('mmdebstrap'),
    [
      ...[`--mode=${asRoot ? 'root' : 'unshare'}`, '--variant=minbase', '--format=tar'],
      `--architectures=${definition.architecture}`,
      `--keyring=${definition.keyring}`,
      `--include=${definition.packages.join(',')}`,
      ...hooks.map((hook) => `--customize-hook=${hook}`),
      ...[definition.suite, paths.tree, ...sources],
    ],
    {
      purpose: 'build a base',
      reporter: context.reporter,
      signal: context.signal,
      // As root in the work folder, so that a sweep finds what a kill leaves; a user namespace needs a public one.
      env: { SOURCE_DATE_EPOCH: String(epoch), TMPDIR: asRoot ? paths.folder : tmpdir() },
      onLine: (line) => context.reporter.emit({ type: 'console', source: 'mmdebstrap', line }),
    },
  )
  return parseInstalled(await readFile(status, 'utf8'))
}
