import { z } from 'zod'
import { UserError } from '../../errors.ts'
import { groupDimensions } from '../fleet.ts'
import { relativeError } from '../sketch.ts'
import { Seen } from './seen.ts'
import { Tally, type TallyJson } from './tally.ts'

/** What has been counted of one day. */
export interface DayRollup {
  readonly tally: Tally
  readonly seen: Seen
}

const count = z.number().int().nonnegative()
const time = z.number().int()

const sketch = z.object({
  n: count,
  mean: z.number(),
  m2: z.number(),
  min: z.number(),
  max: z.number(),
  values: z.array(z.number()).optional(),
  zeros: count.optional(),
  bins: z.array(z.number().int()).optional(),
  negative: z.array(z.number().int()).optional(),
})

const slowRun = z.object({ run: z.string(), host: z.string(), seconds: z.number() })
const perGroup = <T extends z.ZodType>(each: T) => z.partialRecord(z.enum(groupDimensions), z.record(z.string(), each))

const runs = z.object({
  failures: count,
  baked: count,
  retried: count,
  sketches: z.object({
    wall: sketch.optional(),
    cpu: sketch.optional(),
    rxBytes: sketch.optional(),
    diskBytes: sketch.optional(),
    share: sketch.optional(),
    lockSeconds: sketch.optional(),
    retrySeconds: sketch.optional(),
  }),
  by: perGroup(sketch),
  slowest: z.array(slowRun),
})

const tallySchema = z.object({
  counts: z.object({
    fleet: count,
    cold: count,
    failed: count,
    warmFailed: count,
    otherPurpose: count,
    skipped: count,
    dropped: count,
  }),
  from: time.optional(),
  to: time.optional(),
  steps: z.array(
    z.object({
      digest: z.string(),
      name: z.string(),
      when: z.enum(['change', 'instance', 'boot', 'always']),
      position: count,
      firstSeen: time,
      lastSeen: time,
      cold: runs,
      warm: runs,
    }),
  ),
  ready: z.array(
    z.object({
      image: z.string(),
      bundle: z.string(),
      kind: z.enum(['all-ran', 'some-baked', 'other']),
      steps: z.string(),
      failed: count,
      launchToReady: sketch,
      readyUptime: sketch,
      firmware: sketch,
    }),
  ),
  groups: perGroup(z.object({ cold: count, failed: count, launchToReady: sketch })),
  failedBoots: z.array(
    z.object({
      run: z.string(),
      host: z.string(),
      image: z.string(),
      startedAt: time,
      error: z.string(),
      steps: z.array(z.string()),
    }),
  ),
  slowest: z.array(slowRun),
})

const headSchema = z.object({
  v: z.literal(1),
  // Bins of other widths cannot be merged with ours.
  relativeError: z.literal(relativeError),
  recipe: z.string(),
  day: z.string(),
  tally: tallySchema,
})

/** What a rollup is of. */
export interface DayName {
  readonly recipe: string
  /** YYYY-MM-DD. */
  readonly day: string
  readonly key: string
}

/** Two lines of JSON: the statistics, and which reports they count. Who needs no more than the first reads no more. */
export function encodeDay(name: DayName, rollup: DayRollup): string {
  const head = { v: 1, relativeError, recipe: name.recipe, day: name.day, tally: rollup.tally }
  return `${JSON.stringify(head)}\n${JSON.stringify({ seen: rollup.seen.pack() })}\n`
}

/** Throws UserError for what is no rollup of this recipe and day. */
export function decodeTally(name: DayName, firstLine: string): Tally {
  const head = attempt(name, () => headSchema.parse(JSON.parse(firstLine)))
  if (head.recipe !== name.recipe || head.day !== name.day) throw broken(name)
  // Absent and undefined are the same here; zod's types do not know that.
  return Tally.fromJSON(head.tally as TallyJson)
}

/** Throws UserError for what is no rollup of this recipe and day. */
export function decodeDay(name: DayName, text: string): DayRollup {
  const [head = '', seen = ''] = text.split('\n')
  const tally = decodeTally(name, head)
  return {
    tally,
    seen: attempt(name, () => new Seen(z.object({ seen: z.string() }).parse(JSON.parse(seen)).seen)),
  }
}

function attempt<T>(name: DayName, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw broken(name, error)
  }
}

function broken(name: DayName, cause?: unknown): UserError {
  return new UserError(`the rollup ${name.key} is broken`, {
    code: 'rollup-broken',
    hint: `delete it from the store; parbake profile --rollup counts the reports of ${name.day} again`,
    ...(cause === undefined ? {} : { cause }),
  })
}
