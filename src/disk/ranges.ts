/** Bytes from `start` on. */
export interface ByteRange {
  readonly start: number
  readonly length: number
}

/** The same bytes by as few ranges as possible, in order. */
export function mergeRanges(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const merged: { start: number; length: number }[] = []
  for (const { start, length } of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1)
    if (last !== undefined && start <= last.start + last.length) {
      last.length = Math.max(last.length, start + length - last.start)
    } else if (length > 0) {
      merged.push({ start, length })
    }
  }
  return merged
}

/** What is in both; each merged and in order. */
export function intersectRanges(first: readonly ByteRange[], second: readonly ByteRange[]): readonly ByteRange[] {
  const common: ByteRange[] = []
  for (let i = 0, j = 0; i < first.length && j < second.length;) {
    const a = first[i] as ByteRange
    const b = second[j] as ByteRange
    const start = Math.max(a.start, b.start)
    const end = Math.min(a.start + a.length, b.start + b.length)
    if (end > start) common.push({ start, length: end - start })
    if (a.start + a.length < b.start + b.length) i += 1
    else j += 1
  }
  return common
}

/** What is in the first and not in the second; both merged and in order, and so is the result. */
export function subtractRanges(first: readonly ByteRange[], second: readonly ByteRange[]): readonly ByteRange[] {
  const rest: ByteRange[] = []
  let next = 0
  for (const { start, length } of first) {
    let at = start
    const end = start + length
    while (next < second.length && rangeEnd(second[next] as ByteRange) <= at) next += 1
    for (let index = next; index < second.length && at < end; index += 1) {
      const hole = second[index] as ByteRange
      if (hole.start >= end) break
      if (hole.start > at) rest.push({ start: at, length: hole.start - at })
      at = Math.max(at, rangeEnd(hole))
    }
    if (at < end) rest.push({ start: at, length: end - at })
  }
  return rest
}

function rangeEnd({ start, length }: ByteRange): number {
  return start + length
}

export function isIn(ranges: readonly ByteRange[], offset: number): boolean {
  return ranges.some(({ start, length }) => offset >= start && offset < start + length)
}

export function totalLength(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0)
}
