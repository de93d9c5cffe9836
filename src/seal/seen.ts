import { intersectRanges, isIn, mergeRanges, subtractRanges, totalLength, type ByteRange } from '../disk/ranges.ts'
import type { Needle } from './needles.ts'
import type { RawScan, RawScanResult } from './raw-scan.ts'
import { reach, type SecretMatch } from './secret-rules.ts'

/** What an earlier look has searched: the same bytes need not be searched for the same again. */
export interface SeenBytes {
  /** Runs of bytes that followed one another then too, in order; one may begin where another ends. */
  readonly ranges: readonly ByteRange[]
  /** Which of the present needles were looked for, and not found. */
  readonly looked: (needle: Needle) => boolean
  /** Secrets by form that were found in these bytes, for what is allowed may change. */
  readonly secrets: readonly SecretMatch[]
}

/** A scan that is to find what there is on a disk of which an earlier look has seen a part. */
export interface ScanPlan {
  /** To be done, in any order. */
  readonly scans: readonly Omit<RawScan, 'signal'>[]
  /** Found before, and still there. */
  readonly secrets: readonly SecretMatch[]
  /** Bytes that are not searched for everything again. */
  readonly bytesSeen: number
}

/**
 * Searches what an earlier look has not seen for everything, and the rest for what is new: needles, and data where by now none
 * may be. What is unseen is widened to both sides, so that whatever lies across its ends is in it as a whole. Pure.
 */
export function planScan(scan: Omit<RawScan, 'signal'>, seen: SeenBytes | undefined): ScanPlan {
  if (seen === undefined) return { scans: [scan], secrets: [], bytesSeen: 0 }
  const longest = Math.max(0, ...scan.needles.map(({ bytes }) => bytes.length))
  const margin = Math.max(longest, reach.before + reach.after)
  const skipped = seen.ranges.flatMap(({ start, length }) =>
    length > 2 * margin ? [{ start: start + margin, length: length - 2 * margin }] : [],
  )
  const { path, needles, unused = [] } = scan
  const known = intersectRanges(scan.ranges, skipped)
  const newNeedles = needles.filter((needle) => !seen.looked(needle))
  const scans = [
    { ...scan, ranges: subtractRanges(scan.ranges, skipped) },
    { path, unused, needles: [], ranges: intersectRanges(known, mergeRanges(unused)) },
    // A needle across the end of a known part is in the widened rest.
    ...(newNeedles.length === 0 ? [] : [{ path, needles: newNeedles, ranges: known }]),
  ]
  return {
    scans: scans.filter(({ ranges }) => ranges.length > 0),
    bytesSeen: totalLength(known),
    secrets: scan.forms === true ? seen.secrets.filter(({ index }) => isIn(known, index)) : [],
  }
}

/** The results of a plan's scans as those of one. Pure. */
export function joinResults(results: readonly RawScanResult[], { secrets }: ScanPlan): RawScanResult {
  const all = new Map(
    [...secrets, ...results.flatMap((result) => result.secrets)].map((match) => [`${match.id} ${match.index}`, match]),
  )
  return {
    hits: results.flatMap(({ hits }) => hits),
    leftovers: mergeRanges(results.flatMap(({ leftovers }) => leftovers)),
    secrets: [...all.values()].toSorted((a, b) => a.index - b.index),
    bytesScanned: results.reduce((sum, { bytesScanned }) => sum + bytesScanned, 0),
  }
}
