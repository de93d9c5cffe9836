import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../../src/config.ts'
import type { Context } from '../../src/context.ts'
import type { Event } from '../../src/report/events.ts'
import type { CachedState, StateRecord, StepCache } from '../../src/step-cache/cache.ts'
import { chainKeys } from '../../src/step-cache/keys.ts'

/** A context whose cache is in a folder; `events` gets all that is reported. */
export function contextIn(cacheDir: string, maxBytes?: number, events: Event[] = []): Context {
  return {
    config: { cacheDir, cache: { maxBytes, packagesMaxBytes: 1024 ** 3 } } as unknown as Config,
    reporter: { emit: (event) => events.push(event), close: () => {} },
    signal: new AbortController().signal,
  }
}

export const keysOf = (...steps: readonly string[]) => chainKeys({ fingerprint: null, baseDigest: 'b', steps })

/** Keeps a state after these steps in a new folder with one file in it. */
export async function keepState(
  cache: StepCache,
  steps: readonly string[],
  parent: CachedState | undefined,
  more: Partial<StateRecord> = {},
): Promise<CachedState> {
  const folder = await cache.reserve()
  await mkdir(join(folder, 'upper'))
  await writeFile(join(folder, 'upper', 'file'), steps.join(' '))
  return cache.keep(folder, {
    key: keysOf(...steps).at(-1) ?? '',
    parent: parent?.entry.id ?? null,
    engine: 'container',
    base: 'b',
    stepName: steps.at(-1) ?? null,
    stepDigest: steps.at(-1) ?? null,
    seconds: 1,
    sizeBytes: 1024 ** 2,
    note: { share: 0.5 },
    ...more,
  })
}
