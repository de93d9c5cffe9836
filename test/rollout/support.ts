import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readChannel } from '../../src/bundle/channel-store.ts'
import type { BundleChannel } from '../../src/bundle/channel.ts'
import type { Config } from '../../src/config.ts'
import type { Context } from '../../src/context.ts'
import { UserError } from '../../src/errors.ts'
import { initKeys, loadTrustedKeys } from '../../src/keys/index.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Report } from '../../src/profile/report.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import type { Event } from '../../src/report/events.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { keys } from '../../src/store/keys.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { fixture } from '../profile/support.ts'

/** A recipe called `web` with one script. */
export function recipeOf(script: string): Recipe {
  return {
    name: 'web',
    folder: '/nowhere',
    file: '/nowhere/recipe.yaml',
    params: {},
    everyMinutes: 15,
    steps: [
      {
        name: 'only',
        type: 'script',
        rendered: { script: `#!/bin/sh\n${script}\n`, env: {}, files: [] },
        needs: [],
        digest: sha256(script),
        when: 'change',
        bake: 'auto',
        timeoutSeconds: 10,
        retries: 0,
      },
    ],
  }
}

export interface Rig extends AsyncDisposable {
  readonly path: string
  readonly ctx: Context
  readonly store: ObjectStore
  readonly events: readonly Event[]
  /** The channel as it is; throws where there is none. */
  channel(name?: string): Promise<BundleChannel & { readonly signature: { readonly key: string } }>
  configured(changes: Partial<Config>): Context
  /** Puts a report of `web` into today's folder of the store. */
  report(changes: Partial<Report>): Promise<void>
}

let runs = 0

/** A state folder of its own with a signing key and a folder as store. */
export async function rig(): Promise<Rig> {
  const dir = await tempDir('rollout')
  await writeFile(join(dir.path, 'parbake.yaml'), '')
  const env = { HOME: dir.path, PARBAKE_STATE: join(dir.path, 'state') }
  const config = await loadConfig(dir.path, undefined, env)
  await initKeys(config, 'default', silentReporter)
  const events: Event[] = []
  const reporter = { emit: (event: Event) => void events.push(event), close: () => {} }
  const ctx = { config, reporter, signal: new AbortController().signal }
  const store = await openStore(config.store)
  return {
    path: dir.path,
    ctx,
    store,
    events,
    channel: async (name = 'stable') => {
      const stored = await readChannel({ store, recipe: 'web', name, trustedKeys: loadTrustedKeys(config, {}) })
      if (stored === undefined) throw new Error('no channel')
      return stored.channel
    },
    configured: (changes) => ({ ...ctx, config: { ...config, ...changes } }),
    report: async (changes) => {
      runs += 1
      const run = `${runs.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`
      const startedAt = Math.floor(Date.now() / 1000)
      const report = { ...fixture('runtime'), run, host: `host-${runs}`, startedAt, cold: false, ...changes }
      const day = new Date().toISOString().slice(0, 10)
      await store.put(keys.report('web', day, report.host, run), JSON.stringify(report))
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

/** What a promise is rejected with; throws where it is none of ours. */
export async function failure(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof UserError)) throw new Error(`no UserError but ${String(error)}`)
  return error
}
