import { readFileSync } from 'node:fs'
import { sha256, type Sha256 } from '../util/sha256.ts'
import { squeezeShell } from './squeeze-shell.ts'

/** The agent as it lies in the store and goes into bakes. */
export interface Agent {
  readonly text: string
  /** Digest of `text`; channels name it, and hosts that run another one replace theirs. */
  readonly sha256: Sha256
}

/** Reads bootstrap/agent.sh of this package, without its comments. */
export function loadAgent(): Agent {
  const text = squeezeShell(sections(read('agent.sh'), ['agent']))
  return { text, sha256: sha256(text) }
}

/**
 * What user-data holds in the agent's place: the part of the same source that fetches, verifies and starts the agent.
 * `fetches`: with requests of its own, or by a client that it installs.
 */
export function loadStage0(fetches: 'own' | 'client' = 'own'): string {
  return squeezeShell(sections(read('agent.sh'), ['stage0', `stage0-${fetches}`]))
}

/** Reads bootstrap/measure.sh likewise: it goes into every bundle, so that the agent need not hold it. */
export function loadMeasure(): string {
  return squeezeShell(read('measure.sh'))
}

/** Reads bootstrap/secrets.sh likewise: it goes into bundles with a step that uses a secret. */
export function loadSecrets(): string {
  return squeezeShell(read('secrets.sh'))
}

/** The lines of a script that belong to any of these names: a line `#: NAME…` says whose the lines after it are. */
function sections(script: string, names: readonly string[]): string {
  let wanted = true
  const kept = script.split('\n').filter((line) => {
    if (line.startsWith('#: ')) wanted = names.some((name) => line.slice(3).split(' ').includes(name))
    return wanted
  })
  return kept.join('\n')
}

function read(name: string): string {
  return readFileSync(new URL(`../../bootstrap/${name}`, import.meta.url), 'utf8')
}
