import { z } from 'zod'

const seconds = z.number().nonnegative()
const bytes = z.number().int()
const digest = z.string().regex(/^[0-9a-f]{64}$/)

/**
 * What happened to a step in one converge. `ran`: executed, exit 0. `stamped`: nothing due, its stamp was there.
 * `failed`: executed, last exit not 0. `blocked`: a step that it needs did not succeed. `excluded`: due, but this run was
 * told to leave it out (a bake of other steps). `not-applicable`: the host is not one that its `if` asks for; what needs it
 * goes on as if it had run.
 */
export const stepOutcomes = ['ran', 'stamped', 'failed', 'blocked', 'excluded', 'not-applicable'] as const

const traceEntry = z.object({
  /** Line of the script, from 1. */
  line: z.number().int().nonnegative(),
  /** The line as it stands in the script, with no variable expanded, shortened, and without what looks like a secret. */
  command: z.string(),
  /** From the start of the command to that of the next one, summed over its runs. */
  seconds,
})

/** What began and ended; all times in seconds since the kernel started. */
const interval = { name: z.string(), start: seconds, end: seconds }

/** How this boot came as far as the agent, on the guest's own clock. */
const bootRecord = z.object({
  /** Times are seconds of uptime. */
  clock: z.literal('uptime'),
  /** Until the initrd's, or without one the system's, first process was started. */
  kernelSeconds: seconds,
  /** From then until the system's own init was started; 0 without an initrd. */
  initrdSeconds: seconds,
  /** Before the kernel, where EFI tells: from power-on to the boot loader, and in the boot loader. */
  firmwareSeconds: seconds.optional(),
  loaderSeconds: seconds.optional(),
  /**
   * The units on the chain that the agent's own unit had to wait for, first to last: of those that each was ordered after,
   * the one that was up last. `systemd` stands for init itself, until it had loaded its units.
   */
  units: z.array(z.object(interval)),
  /** cloud-init's stages (`init-local`) and modules (`init-local/config-…`) of this boot. */
  cloudInit: z.array(
    z.object({
      ...interval,
      /** `running` where it had not ended when the host was ready; then `end` is that moment. */
      result: z.string(),
    }),
  ),
})

/** When a host converges by itself, and when it will be heard of again. */
const hostSchedule = z.object({
  /** Minutes between two converges where `cron` is ''. */
  everyMinutes: z.number().int().min(1),
  /** Five fields, or '' for an interval. */
  cron: z.string().max(1000),
  /** The host waits for a time of its own below this. */
  splaySeconds: z.number().int().nonnegative(),
  /** Of the host's wall clock, east of UTC, as in `+0530`. */
  zone: z.string().regex(/^[+-]\d{4}$/),
  /** After so long the next scheduled converge sends a report even where it finds nothing to do. */
  reportSeconds: z.number().int().nonnegative(),
})

const agentPhase = z.object({ name: z.string(), start: seconds, wall: seconds })

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
  /** Of `wall`, what went into attempts that failed and the pauses after them. */
  retrySeconds: seconds.optional(),
  /** Of the last attempt, what the package manager waited for its lock, as it says itself, to the second. */
  lockSeconds: seconds.optional(),
  /** On request: the commands of a shell step that took longest, slowest first. */
  trace: z.array(traceEntry).optional(),
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
  /** Id of the rollout that the channel named where this host took part in it, else ''; absent from older agents. */
  rollout: z.string().optional(),
  /** What this host was told that it is, by `tags=` in agent.conf. */
  tags: z.array(z.string()).optional(),
  agentVersion: z.string(),
  /** Id of the parbake image this host booted from, or '' on a plain base. */
  image: z.string(),
  /** Who started the converge. */
  trigger: z.enum(['boot', 'cron', 'manual', 'bake']),
  /** Why the VM runs, from agent.conf: `fleet`, or `verify` for a bake's own check, which no profile counts. */
  purpose: z.enum(['fleet', 'verify', 'bake']),
  /** The step for which the host rebooted after this converge, to go on in the next one; '' without. */
  reboot: z.string().optional(),
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
  /** Absent from older agents, and where nothing converges by itself or reports have one presigned URL. */
  schedule: hostSchedule.optional(),
  /** How the boot came as far as the agent: at the first converge of a boot on a real or virtual machine. */
  boot: bootRecord.optional(),
  /** What the agent itself did before the steps, in order; `start` in seconds of uptime. */
  phases: z.array(agentPhase).optional(),
  /** As the cloud's metadata calls it, where cloud-init has put it on the disk. */
  instanceType: z.string().optional(),
  region: z.string().optional(),
  steps: z.array(stepReport),
})

export type Report = z.infer<typeof reportSchema>
export type StepReport = Report['steps'][number]
export type HostSchedule = z.infer<typeof hostSchedule>
export type BootRecord = NonNullable<Report['boot']>

/** Whether the converge did all that this recipe has to do on such a host, with nothing done before. */
export function ranAll({ steps }: Report): boolean {
  return steps.every(({ outcome }) => outcome === 'ran' || outcome === 'not-applicable')
}
