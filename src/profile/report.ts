import { z } from 'zod'

const seconds = z.number().nonnegative()
const bytes = z.number().int()
const digest = z.string().regex(/^[0-9a-f]{64}$/)

/**
 * What happened to a step in one converge. `ran`: executed, exit 0. `stamped`: nothing due, its stamp was there.
 * `failed`: executed, last exit not 0. `blocked`: a step that it needs did not succeed. `excluded`: due, but this run was
 * told to leave it out (a bake of other steps).
 */
export const stepOutcomes = ['ran', 'stamped', 'failed', 'blocked', 'excluded'] as const

const stepReport = z.object({
  name: z.string(),
  digest,
  when: z.enum(['change', 'instance', 'boot', 'always']),
  outcome: z.enum(stepOutcomes),
  /** True where the stamp came with the image. */
  baked: z.boolean(),
  /** Seconds since the kernel started. 0 where nothing ran. */
  startUptime: seconds,
  /** Wall seconds over all attempts. */
  wall: seconds,
  /** User and system CPU seconds of the step's processes. */
  cpu: seconds,
  /** Bytes received on all interfaces but loopback meanwhile. */
  rxBytes: bytes,
  /** Growth of the root file system; negative where it shrank. */
  diskBytes: bytes,
  /** Exit status of the last attempt; 124 after a timeout. */
  exit: z.number().int(),
  attempts: z.number().int().nonnegative(),
  /** End of the step's output, only where it failed. */
  output: z.string().optional(),
})

/** One converge as the agent reports it, version 1. The agent's test suite and this schema share test/fixtures. */
export const reportSchema = z.object({
  v: z.literal(1),
  run: z.string(),
  host: z.string(),
  hostname: z.string(),
  instance: z.string(),
  recipe: z.string(),
  channel: z.string(),
  serial: z.number().int().nonnegative(),
  bundle: z.union([digest, z.literal('')]),
  agentVersion: z.string(),
  /** Id of the parbake image this host booted from, or '' on a plain base. */
  image: z.string(),
  /** Who started the converge. */
  trigger: z.enum(['boot', 'cron', 'manual', 'bake']),
  /** Why the VM runs, from agent.conf: `fleet`, or `verify` for a bake's own check, which no profile counts. */
  purpose: z.enum(['fleet', 'verify', 'bake']),
  /** True for the first converge since this boot. */
  first: z.boolean(),
  /** True for the first converge of this instance: only those give cold timings. */
  cold: z.boolean(),
  /** Unix seconds. */
  startedAt: z.number().int(),
  startUptime: seconds,
  /** Uptime when the last due step had finished: launch-to-ready less the firmware's share. */
  readyUptime: seconds,
  fetchSeconds: seconds,
  outcome: z.enum(['ok', 'failed']),
  error: z.string(),
  os: z.object({ id: z.string(), version: z.string(), arch: z.string(), kernel: z.string() }),
  cpus: z.number().int().positive(),
  memoryKiB: z.number().int().nonnegative(),
  /** Which programs the agent found for its work. */
  tools: z.object({ fetch: z.string(), verify: z.string(), lock: z.string() }),
  /** sha256 of what must differ between two instances; '' where there is none. Never the values themselves. */
  identity: z.object({ machineId: z.string(), sshHostKeys: z.string(), hostname: z.string() }),
  steps: z.array(stepReport),
})

export type Report = z.infer<typeof reportSchema>
export type StepReport = Report['steps'][number]
