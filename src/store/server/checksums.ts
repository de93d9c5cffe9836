import { createHash } from 'node:crypto'
import { S3Problem } from './s3-problem.ts'

/** A checksum that grows with the data. */
interface RunningChecksum {
  update(data: Uint8Array): void
  /** base64, as S3 sends it. */
  digest(): string
}

const crc32Table = makeTable(0xedb88320)
const crc32cTable = makeTable(0x82f63b78)

const makers: Readonly<Record<string, () => RunningChecksum>> = {
  crc32: () => runningCrc(crc32Table),
  crc32c: () => runningCrc(crc32cTable),
  sha1: () => runningHash('sha1'),
  sha256: () => runningHash('sha256'),
}

/** The checksums a client announced (headers or trailer), to be compared at the end of the body. */
export class BodyChecksums {
  readonly #running = new Map<string, RunningChecksum>()

  /** `names` as in `x-amz-checksum-<name>`; S3Problem for one that cannot be verified here. */
  constructor(names: Iterable<string>) {
    for (const name of names) {
      const make = makers[name]
      if (make === undefined) throw new S3Problem('InvalidRequest', `The checksum ${name} is not supported.`)
      this.#running.set(name, make())
    }
  }

  update(data: Uint8Array): void {
    for (const running of this.#running.values()) running.update(data)
  }

  /** Compares with what was sent; every announced checksum must have come. */
  verify(sent: ReadonlyMap<string, string>): void {
    for (const [name, running] of this.#running) {
      const value = sent.get(`x-amz-checksum-${name}`)
      if (value === undefined || value !== running.digest()) throw new S3Problem('BadDigest')
    }
  }
}

function runningHash(name: string): RunningChecksum {
  const hash = createHash(name)
  return { update: (data) => void hash.update(data), digest: () => hash.digest('base64') }
}

function runningCrc(table: Uint32Array): RunningChecksum {
  let crc = 0xffffffff
  return {
    update: (data) => {
      for (const byte of data) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
    },
    digest: () => {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32BE((crc ^ 0xffffffff) >>> 0)
      return bytes.toString('base64')
    },
  }
}

function makeTable(polynomial: number): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
    return value >>> 0
  })
}
