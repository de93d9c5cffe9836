const tableSize = 1 << 17

/**
 * Finds many byte strings in one pass (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994): the last three
 * bytes of a window as long as the shortest string say how far it may jump. Fast enough to search a disk in the main
 * thread, a chunk at a time. Strings have 3 bytes or more.
 */
export class MultiSearch {
  /** Bytes of the longest string: chunks of one text must overlap by one less. */
  readonly longest: number
  readonly #patterns: readonly Buffer[]
  readonly #window: number
  readonly #jump: Uint8Array
  /** By the hash of the last three bytes of the window: the strings that may begin there. */
  readonly #candidates = new Map<number, number[]>()

  constructor(patterns: readonly Buffer[]) {
    const lengths = patterns.map((pattern) => pattern.length)
    if (lengths.some((length) => length < 3)) throw new RangeError('strings to look for need 3 bytes or more')
    this.#patterns = patterns
    this.longest = Math.max(0, ...lengths)
    this.#window = Math.min(64, ...lengths)
    this.#jump = new Uint8Array(tableSize).fill(this.#window - 2)
    for (const [index, pattern] of patterns.entries()) {
      for (let end = 2; end < this.#window; end += 1) {
        const hash = hashOf(pattern.readUInt8(end - 2), pattern.readUInt8(end - 1), pattern.readUInt8(end))
        const distance = this.#window - 1 - end
        this.#jump[hash] = Math.min(this.#jump[hash] ?? 0, distance)
        if (distance === 0) this.#candidates.set(hash, [...(this.#candidates.get(hash) ?? []), index])
      }
    }
  }

  /** Calls `found` with the index of the string and the offset of its first byte, for every place where one is. */
  search(text: Buffer, found: (pattern: number, offset: number) => void): void {
    if (this.#patterns.length === 0) return
    const jump = this.#jump
    const last = this.#window - 1
    const end = text.length
    for (let at = last; at < end;) {
      const hash = hashOf(text[at - 2] as number, text[at - 1] as number, text[at] as number)
      const step = jump[hash] as number
      if (step > 0) {
        at += step
        continue
      }
      this.#compare(text, at - last, hash, found)
      at += 1
    }
  }

  #compare(text: Buffer, start: number, hash: number, found: (pattern: number, offset: number) => void): void {
    for (const index of this.#candidates.get(hash) ?? []) {
      const pattern = this.#patterns[index] as Buffer
      if (start + pattern.length > text.length) continue
      if (text.compare(pattern, 0, pattern.length, start, start + pattern.length) === 0) found(index, start)
    }
  }
}

function hashOf(first: number, second: number, third: number): number {
  return ((first << 10) ^ (second << 5) ^ third) & (tableSize - 1)
}
