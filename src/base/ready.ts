import { readFileSync } from 'node:fs'
import { access, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Base } from './model.ts'
import { sha256, sha256File, type Sha256 } from '../util/sha256.ts'

/** Folder beside a base's disk with what was made ready when it was built; imported bases have none. */
export const readyFolder = 'ready'

/** Where the tree of a base holds it while it is built. */
const inside = '/parbake-ready'

/**
 * What a bake of this base need not make by itself: the RAM disk as the tuning `initrd-trim` would leave it, and the kernel
 * with its arguments, to be started without firmware and boot loader.
 */
export interface BaseReady {
  /** Absolute paths. */
  readonly kernel: string
  readonly initrd: string
  readonly arguments: string
  /** What `cksum` says of the base's own RAM disk: only in its place may the other one be put. */
  readonly of: string
  /** False where another version of bootstrap/tune.sh would make another RAM disk: it can be booted, but is not the tuning's. */
  readonly asTuned: boolean
}

/** Hooks of mmdebstrap that make it from the finished tree and leave the tree as it was. A tree that does not allow it gives none. */
export function readyHooks(target: string): readonly string[] {
  return [
    `upload ${fileURLToPath(tuneScript)} ${inside}.sh`,
    `mkdir "$1"${inside}`,
    `TMPDIR=/tmp chroot "$1" sh ${inside}.sh initrd-ready:${inside} || rm -rf "$1"${inside}/*`,
    `echo ${readyVersion()} > "$1"${inside}/version`,
    `sync-out ${inside} ${target}`,
    `rm -r "$1"${inside} "$1"${inside}.sh`,
  ]
}

const tuneScript = new URL('../../bootstrap/tune.sh', import.meta.url)

/** Digest of the part of bootstrap/tune.sh that decides what the RAM disk becomes. */
export function readyVersion(): Sha256 {
  const script = readFileSync(tuneScript, 'utf8')
  const section = /^tune_initrd_trim\(\) \{$.*?(?=^# -+ at level `deeper`$)/ms.exec(script)
  if (section === null) throw new Error('bootstrap/tune.sh has lost its part about the initial RAM disk')
  return sha256(section[0])
}

/** What was made ready for a base, or undefined. */
export async function readReady(base: Pick<Base, 'path'>): Promise<BaseReady | undefined> {
  const file = (name: string) => join(dirname(base.path), readyFolder, name)
  const [kernel, initrd] = [file('kernel'), file('initrd')]
  try {
    const [words, of, version] = await Promise.all([
      readFile(file('arguments'), 'utf8'),
      readFile(file('of'), 'utf8'),
      readFile(file('version'), 'utf8'),
      access(kernel),
      access(initrd),
    ])
    return { kernel, initrd, arguments: words.trim(), of, asTuned: version.trim() === readyVersion() }
  } catch {
    return undefined
  }
}

/** Names what a machine is started with; reads all of it. */
export async function readyDigest({ kernel, initrd, arguments: words }: BaseReady): Promise<Sha256> {
  const contents = await Promise.all([kernel, initrd].map((path) => sha256File(path)))
  return sha256([words, ...contents].join('\n'))
}
