/** A file that the base gets besides those of its packages. */
export interface BaseFile {
  /** Absolute path in the guest. */
  readonly path: string
  /** Octal, e.g. `0644`. */
  readonly mode: string
  readonly content: string
}

/** All that decides what is in a base, as data: its digest finds a build in the cache. */
export interface BaseDefinition {
  readonly name: string
  /** As people say it, e.g. `Debian 12 (bookworm)`. */
  readonly distribution: string
  readonly suite: string
  readonly mirror: string
  readonly securityMirror: string
  readonly architecture: 'amd64'
  readonly components: readonly string[]
  readonly packages: readonly string[]
  /** Appended to what the boot loader passes to the kernel. */
  readonly kernelArguments: readonly string[]
  /** Size of the disk as the guest sees it; space that is not used costs nothing. */
  readonly diskSizeMiB: number
  readonly rootLabel: string
  /** Fixed, so that the same input gives the same disk. */
  readonly rootUuid: string
  readonly diskId: string
  readonly files: readonly BaseFile[]
  /** Shell commands run with the tree's path as $1, after the packages and before the files. */
  readonly prepare: readonly string[]
  /** Shell commands run with the tree's path as $1, at the end. */
  readonly finish: readonly string[]
}
