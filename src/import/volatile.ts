import { posix } from 'node:path'
import { shQuote } from '../util/sh-quote.ts'

/** A file of the recipe folder and where it belongs on the host. */
export interface PlacedFile {
  /** In the recipe folder. */
  readonly source: string
  readonly destination: string
  readonly owner: string
  /** Octal digits. */
  readonly mode: string
  /** By what scripts name it, where that is a folder above it. Default: its destination. */
  readonly named?: string
}

/**
 * Folders that do not outlast a boot, so that a file in them is gone when an image starts, or when a bake goes on from
 * a kept state.
 */
export function isVolatile(path: string): boolean {
  return /^\/(?:var\/)?tmp\/|^\/run\/|^\/var\/run\/|^\/dev\/shm\//.test(posix.normalize(path))
}

/** Shell lines that put files in their places; `folder` is what holds the step's inputs, quoted for the shell. */
export function placeFiles(files: readonly PlacedFile[], folder: string): string {
  return files
    .map(({ source, destination, owner, mode }) => {
      const [user = 'root', group = 'root'] = owner.split(':')
      return (
        `mkdir -p ${shQuote(posix.dirname(destination))}\n` +
        `install -m ${mode} -o ${shQuote(user)} -g ${shQuote(group)} ${folder}/${shQuote(source)} ${shQuote(destination)}\n`
      )
    })
    .join('')
}
