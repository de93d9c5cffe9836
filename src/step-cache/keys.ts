import { canonicalJson, type Json } from '../util/canonical-json.ts'
import { sha256, type Sha256 } from '../util/sha256.ts'

/** Raised when a state that an older parbake kept must not be taken any more. */
const keyVersion = 1

export interface ChainInput {
  /** What states depend on besides base and steps: the engine and its name, machine, versions of tools. */
  readonly fingerprint: Json
  readonly baseDigest: string
  /** What each step is, in order, from the first. */
  readonly steps: readonly string[]
}

/**
 * Keys of the states along a bake: the first is the booted base, the one at index i the state after i steps. Equal keys
 * mean that the same was done in the same order on the same base; a change makes a new key for every state after it.
 */
export function chainKeys({ fingerprint, baseDigest, steps }: ChainInput): readonly [Sha256, ...Sha256[]] {
  const first = sha256(canonicalJson({ v: keyVersion, fingerprint, baseDigest }))
  const keys: [Sha256, ...Sha256[]] = [first]
  let last = first
  for (const step of steps) {
    last = sha256(canonicalJson([last, step]))
    keys.push(last)
  }
  return keys
}
