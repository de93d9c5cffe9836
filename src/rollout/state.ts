import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { ChannelPlace } from '../bundle/channel-store.ts'
import { UserError } from '../errors.ts'
import { defaultEveryMinutes } from '../recipe/cron.ts'
import { keys } from '../store/keys.ts'
import { getBytes } from '../store/object-store.ts'
import { defaultBounds } from './model.ts'

const share = z.number().min(0).max(1)

/**
 * What is kept of a rollout beside the channel: its bounds, and what was done. Nobody signs it: what hosts run is in the
 * channel alone.
 */
const stateSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  bundle: z.string(),
  /** Minutes between two converges by cron. */
  everyMinutes: z.number().int().min(1),
  /** By the calendar instead. */
  schedule: z.object({ cron: z.string(), splaySeconds: z.number().int().nonnegative() }).optional(),
  bounds: z.object({
    maxFailureRate: share,
    maxSlowdown: z.number().min(1),
    minHosts: z.number().int().min(1),
  }),
  /** Tags whose hosts take part; a halt takes them out of the channel. */
  tags: z.array(z.string()),
  log: z.array(
    z.object({
      /** ISO 8601. */
      at: z.string(),
      action: z.enum(['start', 'advance', 'halt', 'undo', 'finish']),
      percent: z.number(),
      serial: z.number(),
      /** `watch` where nobody was asked. */
      by: z.enum(['person', 'watch']),
      why: z.string(),
    }),
  ),
})

export type RolloutState = z.infer<typeof stateSchema>
export type RolloutAction = RolloutState['log'][number]

/** As many writers as may collide, and as many entries as are kept. */
const maxAttempts = 10
const maxLog = 200

/** An id that says when the rollout began and, being in the channel, is signed. */
export function newRolloutId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').toLowerCase()
  return `${time}z-${randomBytes(3).toString('hex')}`
}

/** When a rollout began, milliseconds; undefined for an id that somebody else made. */
export function startOfRollout(id: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z-/.exec(id)
  if (match === null) return undefined
  const [, year, month, date, hour, minute, second] = match
  const ms = Date.parse(`${year}-${month}-${date}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? undefined : ms
}

/** What stands beside the channel about this rollout; undefined where there is nothing, or of another one. */
export async function readState(place: ChannelPlace, id: string): Promise<RolloutState | undefined> {
  const state = (await readStored(place))?.state
  return state?.id === id ? state : undefined
}

/** Writes the state of a new rollout over that of an earlier one. Throws a UserError where others keep writing. */
export async function writeState(place: ChannelPlace, state: RolloutState): Promise<void> {
  await change(place, () => state)
}

/** Adds what was done. Where the state of this rollout is gone, one with usual bounds takes its place. */
export async function logAction(
  place: ChannelPlace,
  rollout: { readonly id: string; readonly bundle: string },
  action: RolloutAction,
): Promise<void> {
  await change(place, (known) => {
    const state: RolloutState =
      known?.id === rollout.id
        ? known
        : { v: 1, ...rollout, everyMinutes: defaultEveryMinutes, bounds: { ...defaultBounds }, tags: [], log: [] }
    return { ...state, log: [...state.log, action].slice(-maxLog) }
  })
}

async function change(place: ChannelPlace, next: (known: RolloutState | undefined) => RolloutState): Promise<void> {
  const key = keys.rollout(place.recipe, place.name)
  const signal = place.signal === undefined ? {} : { signal: place.signal }
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const stored = await readStored(place)
    const { outcome } = await place.store.put(key, `${JSON.stringify(next(stored?.state), null, 2)}\n`, {
      ...signal,
      contentType: 'application/json',
      condition: stored === undefined ? { absent: true } : { etag: stored.etag },
    })
    if (outcome === 'stored') return
  }
  throw new UserError(`${key} in ${place.store.url} was changed by others at each of ${maxAttempts} tries`, {
    hint: 'the channel itself is as it should be; find out who else steers this rollout',
    code: 'rollout-contended',
  })
}

/** A state that cannot be read counts as none: the channel says what hosts do. */
async function readStored(
  place: ChannelPlace,
): Promise<{ readonly etag: string; readonly state: RolloutState | undefined } | undefined> {
  const key = keys.rollout(place.recipe, place.name)
  const info = await place.store.head(key, place.signal === undefined ? {} : { signal: place.signal })
  if (info === undefined) return undefined
  const bytes = await getBytes(place.store, key, place.signal)
  if (bytes === undefined) return undefined
  let document: unknown
  try {
    document = JSON.parse(bytes.toString('utf8'))
  } catch {
    return { etag: info.etag, state: undefined }
  }
  return { etag: info.etag, state: stateSchema.safeParse(document).data }
}
