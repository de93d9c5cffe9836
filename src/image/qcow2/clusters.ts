import { readSync } from 'node:fs'

/**
 * Larger clusters compress better, but a read of any byte decompresses all of one: twice QEMU's default makes images
 * about 4 % smaller than that.
 */
export const clusterBits = 17
export const clusterBytes = 1 << clusterBits

/** What lies behind the end of the disk reads as zeros. */
export function readCluster(file: number, guest: number, buffer = Buffer.allocUnsafe(clusterBytes)): Buffer {
  return readFully(file, buffer, guest * clusterBytes)
}

/** Fills the buffer, with zeros behind the end of the file. */
export function readFully(file: number, buffer: Buffer, offset: number): Buffer {
  for (let done = 0; done < buffer.length;) {
    const bytesRead = readSync(file, buffer, done, buffer.length - done, offset + done)
    if (bytesRead === 0) return buffer.fill(0, done)
    done += bytesRead
  }
  return buffer
}
