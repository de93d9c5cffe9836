import { open, type FileHandle } from 'node:fs/promises'

/**
 * The log of QEMU's block driver `blklogwrites`, in the format of Linux's dm-log-writes (Documentation/admin-guide/
 * device-mapper/log-writes.rst): everything that a guest wrote to its disk, in order, and when it asked for it to be durable.
 */
export interface LoggedWrite {
  /** On the disk, in bytes. */
  readonly offset: number
  readonly length: number
  /** Where the log holds what was written; undefined for a discard. */
  readonly data: number | undefined
  /** All writes before it are durable when it has ended. */
  readonly isFlush: boolean
}

const magic = 0x6a736677736872n
const flags = { flush: 1n, fua: 2n, discard: 4n } as const

/** The size of a log that begins with this sector size. */
export const sectorBytes = 512

/** Reads a log up to its end, or to what was being written when QEMU was killed. */
export async function readLog(file: FileHandle): Promise<readonly LoggedWrite[]> {
  const { size } = await file.stat()
  const head = await readAt(file, 0, 28)
  if (head.readBigUInt64LE(0) !== magic || head.readUInt32LE(24) !== sectorBytes) throw new Error('no log of writes')
  const writes: LoggedWrite[] = []
  let at = sectorBytes
  while (at + sectorBytes <= size) {
    const entry = await readAt(file, at, 32)
    const [sector, sectors, word] = [0, 8, 16].map((place) => entry.readBigUInt64LE(place)) as [bigint, bigint, bigint]
    const length = Number(sectors) * sectorBytes
    const isDiscard = (word & flags.discard) !== 0n
    const data = at + sectorBytes
    at = data + (isDiscard ? 0 : length)
    if (at > size) break
    writes.push({
      offset: Number(sector) * sectorBytes,
      length,
      data: isDiscard ? undefined : data,
      isFlush: (word & (flags.flush | flags.fua)) !== 0n,
    })
  }
  return writes
}

/** Does one write to another disk. */
export async function replay(write: LoggedWrite, log: FileHandle, disk: FileHandle): Promise<void> {
  if (write.length === 0 || write.data === undefined) return
  const content = await readAt(log, write.data, write.length)
  await disk.write(content, 0, content.length, write.offset)
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) throw new Error('the log ends too early')
    done += bytesRead
  }
  return buffer
}

/** Opens a file for `use` and closes it. */
export async function withFile<T>(path: string, mode: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, mode)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}
