import { open } from 'node:fs/promises'

/** Writes a new file from chunks and waits until it is on the disk. The caller removes it when this throws. */
export async function writeSynced(
  path: string,
  source: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const handle = await open(path, 'wx', 0o644)
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted()
      await handle.writeFile(chunk)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}
