import { canonicalJson, compareCodeUnits } from '../util/canonical-json.ts'
import { sha256, type Sha256 } from '../util/sha256.ts'
import type { RenderedStep } from './model.ts'

/** Everything that a step digest covers, and nothing else. */
export interface DigestInput {
  readonly type: string
  readonly rendered: RenderedStep
  /** Digests of the steps that this one needs, in any order: through them a change travels along the chain. */
  readonly needs: readonly Sha256[]
}

/** The identity of a step on every host and in every image; DESIGN, "step digest". */
export function stepDigest({ type, rendered, needs }: DigestInput): Sha256 {
  const { script, env, files, conditions, secrets } = rendered
  return sha256(
    canonicalJson({
      v: 1,
      type,
      script,
      env,
      files: files
        .map(({ path, executable, content }) => ({ path, executable, sha256: sha256(content) }))
        .toSorted((a, b) => compareCodeUnits(a.path, b.path)),
      needs: needs.toSorted(compareCodeUnits),
      // Left out where there are none: digests must stay what they were.
      conditions,
      secrets,
    }),
  )
}
