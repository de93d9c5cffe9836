import { readFileSync } from 'node:fs'
import { sha256, type Sha256 } from '../util/sha256.ts'
import { squeezeShell } from './squeeze-shell.ts'

/** The agent in the one form in which it travels: in user-data, in the store and into bakes. */
export interface Agent {
  readonly text: string
  /** Digest of `text`; channels name it, and hosts that run another one replace theirs. */
  readonly sha256: Sha256
}

/** Reads bootstrap/agent.sh of this package, without its comments. */
export function loadAgent(): Agent {
  const text = squeezed('agent.sh')
  return { text, sha256: sha256(text) }
}

/** Reads bootstrap/measure.sh likewise: it goes into every bundle, so that user-data need not hold it. */
export function loadMeasure(): string {
  return squeezed('measure.sh')
}

function squeezed(name: string): string {
  return squeezeShell(readFileSync(new URL(`../../bootstrap/${name}`, import.meta.url), 'utf8'))
}
