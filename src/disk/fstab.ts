import type { DiskLayout, Partition } from './layout.ts'

/** One line of an fstab(5). */
export interface FstabEntry {
  readonly source: string
  /** Absolute, normalised. */
  readonly target: string
  readonly type: string
  readonly options: readonly string[]
}

/** Reads an fstab; lines that make no sense, and targets that lead nowhere, are left out. */
export function parseFstab(text: string): readonly FstabEntry[] {
  return text.split('\n').flatMap((line) => {
    const [source, target, type, options] = line.trim().split(/\s+/)
    if (source === undefined || source.startsWith('#') || target === undefined || type === undefined) return []
    const folder = unescape(target)
    if (!folder.startsWith('/') || folder.split('/').includes('..')) return []
    return [
      {
        source: unescape(unquote(source)),
        target: folder === '/' ? '/' : folder.replace(/\/+/g, '/').replace(/\/$/, ''),
        type,
        options: options === undefined ? [] : options.split(','),
      },
    ]
  })
}

/** The partition of this disk that a source of an fstab means, or undefined. */
export function findSource(layout: DiskLayout, source: string): Partition | undefined {
  const [, tag, value] = /^(UUID|LABEL|PARTUUID|PARTLABEL)=(.*)$/.exec(source) ?? linkOf(source)
  if (tag === undefined || value === undefined) {
    const number = /^\/dev\/(?:(?:[svh]|xv)d[a-z]+|(?:nvme\d+n\d+|mmcblk\d+)p)(\d+)$/.exec(source)?.[1]
    return number === undefined ? undefined : layout.partitions.find((partition) => partition.number === Number(number))
  }
  const wanted = unquote(value).toLowerCase()
  if (wanted === '') return undefined
  return layout.partitions.find((partition) => {
    if (tag === 'UUID') return partition.fs?.uuid.toLowerCase() === wanted
    if (tag === 'LABEL') return partition.fs?.label.toLowerCase() === wanted
    if (tag === 'PARTUUID') return partition.partUuid?.toLowerCase() === wanted
    return partition.name?.toLowerCase() === wanted
  })
}

/** udev's links, as in `/dev/disk/by-uuid/…`, name the same as the tags do. */
function linkOf(source: string): readonly string[] {
  const [, kind, value] = /^\/dev\/disk\/by-(uuid|label|partuuid|partlabel)\/(.+)$/.exec(source) ?? []
  return kind === undefined || value === undefined ? [] : [source, kind.toUpperCase(), value]
}

/** Blanks in fstab are octal escapes. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function unquote(text: string): string {
  return text.replaceAll('"', '')
}

/** A file system to mount below the root. */
export interface WantedMount {
  readonly target: string
  readonly partition: Partition
  /** The btrfs subvolume, where fstab names one. */
  readonly subvolume: string | undefined
}

/** What an fstab mounts from the same disk besides the root file system, outer folders first. */
export function wantedMounts(layout: DiskLayout, entries: readonly FstabEntry[]): readonly WantedMount[] {
  const seen = new Set<string>(['/'])
  return entries
    .flatMap((entry) => {
      const partition = findSource(layout, entry.source)
      if (partition === undefined || !isMountable(partition) || seen.has(entry.target)) return []
      seen.add(entry.target)
      return [{ target: entry.target, partition, subvolume: subvolumeOf(entry.options) }]
    })
    .toSorted((a, b) => depth(a.target) - depth(b.target))
}

/** True for file systems that can be mounted as they are. */
export function isMountable(partition: Partition): boolean {
  return partition.fs !== undefined && !['swap', 'lvm', 'luks'].includes(partition.fs.type)
}

/** The btrfs subvolume that mount options name, without a slash at its start. */
export function subvolumeOf(options: readonly string[]): string | undefined {
  const option = options.find((candidate) => candidate.startsWith('subvol='))
  return option?.slice('subvol='.length).replace(/^\/+/, '')
}

function depth(path: string): number {
  return path.split('/').length
}
