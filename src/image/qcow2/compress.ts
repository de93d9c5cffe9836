import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../system/run.ts'
import { needTool } from '../../system/tools.ts'
import { tempDir, type TempDir } from '../../system/temp.ts'

/**
 * Compresses clusters, each into a zstd frame of its own, with the command `zstd`, which does many files in one process:
 * Node has no zstd before version 22, and packages that bring one either download it at install time or are several times
 * slower.
 */
export class ClusterCompressor implements AsyncDisposable {
  readonly #folder: TempDir
  readonly #zstd: string
  readonly #level: number
  readonly #signal: AbortSignal
  #batches = 0

  private constructor(folder: TempDir, zstd: string, level: number, signal: AbortSignal) {
    this.#folder = folder
    this.#zstd = zstd
    this.#level = level
    this.#signal = signal
  }

  /** `workFolder` exists and has room for some megabytes. Throws UserError where zstd is missing. */
  static async open(workFolder: string, level: number, signal: AbortSignal): Promise<ClusterCompressor> {
    return new ClusterCompressor(await tempDir('zstd', workFolder), await needTool('zstd'), level, signal)
  }

  /** The frames of the clusters, in order. Each has a checksum, so that damage is found when it is read. */
  async compress(clusters: readonly Buffer[]): Promise<readonly Buffer[]> {
    const batch = this.#batches
    this.#batches += 1
    const paths = clusters.map((_, index) => join(this.#folder.path, `${batch}-${index}`))
    await Promise.all(paths.map((path, index) => writeFile(path, clusters[index] as Buffer)))
    await run(this.#zstd, ['-q', `-${this.#level}`, '-T1', '--check', '--rm', '--', ...paths], {
      purpose: 'compress a disk image',
      signal: this.#signal,
    })
    return Promise.all(
      paths.map(async (path) => {
        const frame = await readFile(`${path}.zst`)
        await rm(`${path}.zst`)
        return frame
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]()
  }
}
