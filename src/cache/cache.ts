import { listBases } from '../base/cache.ts'
import type { Context } from '../context.ts'
import { packageFiles } from '../package-cache/files.ts'
import { listStates, pruneStates, type ListedState } from '../step-cache/prune.ts'
import { looseFiles, pruneLoose, type LooseFile } from './files.ts'

/** How much of one kind there is. */
export interface Amount {
  readonly count: number
  readonly bytes: number
  /** What it may take up; undefined where nothing bounds it. */
  readonly maxBytes?: number
}

/** All that the cache holds. */
export interface CacheContent {
  readonly cacheDir: string
  readonly states: readonly ListedState[]
  /** Names of bases by digest, for those that are still there. */
  readonly baseNames: Readonly<Record<string, string>>
  readonly steps: Amount
  readonly packages: Amount
  readonly bases: Amount
  /** Disks of bases as one engine reads them; made anew where they are gone. */
  readonly unpackedBases: Amount
  readonly images: Amount
  readonly logs: Amount
  /** Revisions of git repositories that recipes extend. */
  readonly revisions: Amount
  /** Commands as the engine compiled them. */
  readonly compiled: Amount
  /** What checks said. */
  readonly findings: Amount
}

/** Looks at everything and changes nothing. */
export async function readCache(context: Pick<Context, 'config'>): Promise<CacheContent> {
  const { cacheDir, cache } = context.config
  const [{ states, maxBytes }, packages, bases, raw, images, logs, revisions, compiled, findings] = await Promise.all([
    listStates(context),
    packageFiles(context.config).list(),
    listBases(context),
    looseFiles(cacheDir, 'raw'),
    looseFiles(cacheDir, 'image'),
    looseFiles(cacheDir, 'log'),
    looseFiles(cacheDir, 'git'),
    looseFiles(cacheDir, 'compiled'),
    looseFiles(cacheDir, 'lint'),
  ])
  return {
    cacheDir,
    states,
    baseNames: Object.fromEntries(bases.map(({ digest, name }) => [digest, name])),
    steps: { ...amountOf(states.map(({ entry }) => entry.sizeBytes)), maxBytes },
    packages: { ...amountOf(packages.map(({ bytes }) => bytes)), maxBytes: cache.packagesMaxBytes },
    bases: amountOf(bases.map(({ sizeBytes }) => sizeBytes)),
    unpackedBases: amountOf(raw.filter(({ name }) => name.endsWith('.raw')).map(({ bytes }) => bytes)),
    images: amountOf(images.map(({ bytes }) => bytes)),
    logs: amountOf(logs.map(({ bytes }) => bytes)),
    revisions: amountOf(revisions.map(({ bytes }) => bytes)),
    compiled: amountOf(compiled.map(({ bytes }) => bytes)),
    findings: amountOf(findings.map(({ bytes }) => bytes)),
  }
}

function amountOf(sizes: readonly number[]): Amount {
  return { count: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}

export interface PruneOptions {
  /** Bound of the kept states, and of the packages, instead of the configured ones. */
  readonly maxBytes?: number
  /** Also removes states and packages not used for so long. */
  readonly olderThanMs?: number
  /** Images and logs too: those that are that old, or 30 days where nothing is said, and that nobody has open. What is quickly
   * had again (git revisions, compiled commands, what checks said) goes by the same rule without being asked for. */
  readonly images: boolean
  readonly logs: boolean
  readonly dryRun: boolean
}

/** Something that was, or would be, removed. */
export interface Removed {
  readonly kind: 'step' | 'package' | LooseFile['kind']
  readonly name: string
  readonly bytes: number
}

const oldMs = 30 * 86_400_000

/** Brings the cache below its bounds. What running bakes use stays. */
export async function pruneCache(context: Context, options: PruneOptions): Promise<readonly Removed[]> {
  const { maxBytes, olderThanMs, dryRun } = options
  const { cacheDir, cache } = context.config
  const removed: Removed[] = []
  const states = await pruneStates(context, {
    dryRun,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(olderThanMs === undefined ? {} : { olderThanMs }),
  })
  for (const { id, stepName, sizeBytes } of states) {
    removed.push({ kind: 'step', name: `${id} (${stepName ?? 'booted base'})`, bytes: sizeBytes })
  }
  const now = Date.now()
  const packages = await packageFiles(context.config).prune({
    maxBytes: maxBytes ?? cache.packagesMaxBytes,
    dryRun,
    ...(olderThanMs === undefined ? {} : { before: now - olderThanMs }),
  })
  for (const { name, bytes } of packages) removed.push({ kind: 'package', name, bytes })
  const before = now - (olderThanMs ?? oldMs)
  const asked = [...(options.images ? ['image' as const] : []), ...(options.logs ? ['log' as const] : [])]
  for (const kind of [...asked, 'git', 'compiled', 'lint'] as const) {
    const victims = await pruneLoose(await looseFiles(cacheDir, kind), before, dryRun)
    for (const { name, bytes } of victims) removed.push({ kind, name, bytes })
  }
  return removed
}
