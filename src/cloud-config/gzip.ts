import { gzipSync } from 'node:zlib'

/** Gzip with the same bytes on every platform: no name, no time, level 9, "unknown" as operating system. */
export function gzipReproducible(data: Uint8Array | string): Buffer {
  const bytes = gzipSync(data, { level: 9 })
  // zlib writes the platform it was built for into the tenth byte.
  bytes[9] = 0xff
  return bytes
}
