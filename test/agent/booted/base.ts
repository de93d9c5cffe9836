import { baseRaw } from '../../../src/bake/container/base-raw.ts'
import type { Context } from '../../../src/context.ts'
import { Cleanup } from '../../../src/util/cleanup.ts'
import { bakeContext, builtBase } from '../../bake/container-support.ts'
import { fullOnly, sharedCache } from '../../vm/support.ts'

/** Where booted hosts come from. */
export interface BootedBase extends AsyncDisposable {
  readonly context: Context
  /** The Debian base's disk, which every host has a layer of its own over. */
  readonly disk: string
}

/** The base that all VM tests share. */
export async function openBase(): Promise<BootedBase> {
  await using stack = new Cleanup()
  const context = await bakeContext(sharedCache, new AbortController().signal)
  const base = await builtBase()
  if (base === undefined) throw new Error('there is no base of Debian 12')
  const raw = stack.use(await baseRaw(context, { name: base.name, digest: base.digest, path: base.path }))
  const kept = stack.move()
  return { context, disk: raw.path, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

/** How many points of a kind a bounded run tries, and a full one. */
export const points = (bounded: number, full: number): number => (fullOnly ? full : bounded)
