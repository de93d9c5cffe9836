import type { Context } from '../context.ts'
import { exposeRaw, withReadAt, type RawDisk } from '../disk/expose.ts'
import { readLayout, type DiskLayout } from '../disk/layout.ts'
import { dataRanges } from '../image/data-ranges.ts'
import type { DiskFormat } from '../image/disk-format.ts'
import { allEnded } from '../util/all-ended.ts'
import { Cleanup } from '../util/cleanup.ts'
import { extUnused, type ExtUnused } from './ext.ts'
import { openFileView, type FileView } from './file-view.ts'
import { locateOffsets, placeInWords, type DiskPlace } from './locate.ts'
import { lookAtFiles, type Finding } from './look.ts'
import type { Needle } from './needles.ts'
import { totalLength } from '../disk/ranges.ts'
import type { RawScanResult } from './raw-scan.ts'
import { scanAside } from './scan-aside.ts'
import { isToSearch, systemPath, wholeFiles } from './searched.ts'
import { joinResults, planScan, type ScanPlan, type SeenBytes } from './seen.ts'
import type { SecretMatch } from './secret-rules.ts'

export type { Finding } from './look.ts'

export interface SealCheckOptions {
  /** A powered-off system. */
  readonly disk: { readonly path: string; readonly format: DiskFormat }
  /** What must not be anywhere in its bytes. */
  readonly secrets: readonly Needle[]
  /** What an earlier look at another state of the disk has seen. */
  readonly seen?: SeenBytes | undefined
  /** An existing folder that is gone when the work is over. */
  readonly workFolder: string
}

export interface SealReport {
  /** What must not be in an image; empty where it may be published. */
  readonly findings: readonly Finding[]
  readonly filesLooked: number
  /** All data that the disk holds … */
  readonly bytesLooked: number
  /** … and what of it an earlier look has seen: it was searched again only for what is new. */
  readonly bytesSeen: number
  /** All secrets by form in the bytes of the disk, those among them that are allowed. */
  readonly secrets: readonly SecretMatch[]
  /** How the files were read. */
  readonly how: 'mounted' | 'debugfs'
  /** What could not be looked at here, in words. */
  readonly notLooked: readonly string[]
}

/**
 * Looks at a finished disk from outside, and trusts nothing that the sealing said of itself: whether a needle is anywhere
 * in its bytes (free space, slack and journal included), whether free space holds anything at all (ext file systems),
 * whether the seal list holds, and whether a file holds a private key or a token by its form. Throws UserError where the
 * disk cannot be read.
 */
export async function sealCheck(context: Context, options: SealCheckOptions): Promise<SealReport> {
  await using stack = new Cleanup()
  const disk = stack.use(await exposeRaw(context, { ...options.disk, writable: false, workFolder: options.workFolder }))
  const layout = await withReadAt(disk, (read) => readLayout(read, disk.sizeBytes))
  const view = stack.use(await openFileView(context, disk, layout, options.workFolder))
  const unused = await extUnused(context, disk.path, layout)
  const ranges = await dataRanges(context, options.disk)
  const plan = planScan(
    {
      ...{ path: disk.path, ranges, needles: options.secrets, forms: true },
      unused: unused.flatMap(({ free }) => free),
    },
    options.seen,
  )
  const searched = search(context, { disk, layout, view, unused, plan })
  // The look waits for it, and where the look ends before, nothing may be unmounted yet.
  stack.defer(() => searched.then(ignore, ignore))
  const isSearched = searched.then((result) => result.isSearched)
  isSearched.catch(ignore)
  const look = await lookAtFiles(view.root, { signal: context.signal, isSearched })
  const { scan, places } = await searched
  return {
    findings: [...look.findings, ...rawFindings(scan, places), ...leftoverFinding(scan.leftovers)],
    filesLooked: look.filesLooked,
    bytesLooked: totalLength(ranges),
    bytesSeen: plan.bytesSeen,
    secrets: scan.secrets,
    how: view.how,
    notLooked: view.notLooked,
  }
}

interface SearchInput {
  readonly disk: RawDisk
  readonly layout: DiskLayout
  readonly view: FileView
  readonly unused: readonly ExtUnused[]
  readonly plan: ScanPlan
}

interface Search {
  readonly scan: RawScanResult
  readonly places: Places
  /** Whether a file has to be searched by itself. */
  readonly isSearched: (path: string) => boolean
}

/** Searches the bytes of the disk. */
async function search(context: Context, { disk, layout, view, unused, plan }: SearchInput): Promise<Search> {
  // Both have ended before anything is unmounted, whichever fails.
  const [results, whole] = await allEnded([scanAside(plan.scans, context.signal), wholeFiles(context, view, unused)])
  const scan = joinResults(results, plan)
  const offsets = [...scan.hits.map(({ offset }) => offset), ...scan.secrets.map(({ index }) => index)]
  const places = await locateOffsets(context, disk.path, layout, unused, offsets)
  const suspects = suspectFiles(scan.secrets, places, view)
  return { scan, places, isSearched: (path) => isToSearch(path, whole, suspects) }
}

function ignore(): void {}

type Places = ReadonlyMap<number, DiskPlace>

/** The files that secrets by form lie in: the look at them tells which are nobody's, and in which line the others are. */
function suspectFiles(secrets: readonly SecretMatch[], places: Places, { system }: FileView): ReadonlySet<string> {
  return new Set(
    secrets.flatMap(({ index }) => {
      const place = places.get(index)
      return place?.kind === 'file' && place.path !== undefined && system !== undefined
        ? [systemPath(system, place.partition, place.path)]
        : []
    }),
  )
}

/** Needles wherever they are; secrets by form only where no file is that could be looked at. */
function rawFindings({ hits, secrets }: RawScanResult, places: Places): readonly Finding[] {
  const where = (offset: number) =>
    `byte ${offset} of the disk, ${placeInWords(places.get(offset) ?? { kind: 'outside' })}`
  const bare = secrets.filter(({ index }) => {
    const place = places.get(index) ?? { kind: 'outside' }
    return place.kind === 'file' ? place.path === undefined : place.kind !== 'partition'
  })
  return [
    ...hits.map(({ needle, offset }) => ({
      id: 'needle',
      where: where(offset),
      why: `holds ${needle.name} of the bake`,
    })),
    ...bare.map(({ id, index, why }) => ({ id, where: where(index), why })),
  ]
}

function leftoverFinding(leftovers: RawScanResult['leftovers']): readonly Finding[] {
  const first = leftovers[0]
  if (first === undefined) return []
  const places = leftovers.length === 1 ? '' : ` and ${leftovers.length - 1} more places`
  return [
    {
      id: 'deleted-data',
      where: `byte ${first.start} of the disk${places}, in free space`,
      why: `${totalLength(leftovers)} bytes of deleted files are still there`,
    },
  ]
}
