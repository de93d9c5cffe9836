import { createHash } from 'node:crypto'

/** Base64 characters of one fingerprint. */
const length = 12

/**
 * Which reports of a day have been counted: 72 bits of the sha256 of each object's name. Of a million reports in one day
 * two share them with a probability of 10⁻¹⁰; then one of the two would not be counted. A report takes 12 bytes in
 * the rollup and about 55 in memory, of one day at a time.
 */
export class Seen {
  readonly #prints: Set<string>

  constructor(packed = '') {
    if (packed.length % length !== 0 || !/^[A-Za-z0-9+/]*$/.test(packed))
      throw new RangeError('no list of fingerprints')
    this.#prints = new Set()
    for (let at = 0; at < packed.length; at += length) this.#prints.add(packed.slice(at, at + length))
  }

  get size(): number {
    return this.#prints.size
  }

  has(name: string): boolean {
    return this.#prints.has(printOf(name))
  }

  /** False where it was there before. */
  add(name: string): boolean {
    const before = this.#prints.size
    return this.#prints.add(printOf(name)).size > before
  }

  pack(): string {
    return [...this.#prints].join('')
  }
}

function printOf(name: string): string {
  return createHash('sha256').update(name).digest('base64').slice(0, length)
}
