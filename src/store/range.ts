/** Bytes `start` to `end`, both inclusive. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** A range cut to a size, or undefined where it begins at or after the end. */
export function clampRange(
  range: { readonly start: number; readonly end?: number },
  size: number,
): ByteRange | undefined {
  const end = Math.min(range.end ?? size - 1, size - 1)
  return range.start > end ? undefined : { start: range.start, end }
}

/** The value of an HTTP Range header. */
export function rangeHeader(range: { readonly start: number; readonly end?: number }): string {
  return `bytes=${range.start}-${range.end ?? ''}`
}
