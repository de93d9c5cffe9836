import type { Report } from '../profile/report.ts'

/** What of loading Python and cloud-init a forked stage saves: starting the client and forking took 0.6 of 3.3 s under TCG. */
const forkShare = 0.82

/** How far loading gets in a second in which the system starts beside it: 3.3 s of it were done in 4.5 s. */
const besideShare = 0.75

/** Stages on the way to the steps of an image's host, and the units that run them, by the names of old and new releases. */
const stages = [
  { stage: 'init-network', units: ['cloud-init.service', 'cloud-init-network.service'] },
  { stage: 'modules-config', units: ['cloud-config.service'] },
] as const

/** How much sooner a host of an image is at two points of its boot than one of a plain base, seconds. */
export interface Sooner {
  /** Where cloud-init's network stage begins, which makes the host keys. */
  readonly atNetworkStage: number
  /** Where the first step begins, but for what making host keys changes. */
  readonly atFirstStep: number
}

const notSooner: Sooner = { atNetworkStage: 0, atFirstStep: 0 }

/**
 * Told from the record of a boot of a plain base; nothing without one. On a plain base cloud-init's last stage starts the
 * agent, which then fetches; in an image it fetches before, and its steps wait for the end of the config stage only. Of
 * `tunings`, what loads Python before each stage is counted, for its effect shows in the record.
 */
export function soonerInImage(boot: Report, tunings: readonly string[]): Sooner {
  if (boot.image !== '' || boot.boot === undefined) return notSooner
  const { units, cloudInit } = boot.boot
  const firstStep = Math.min(...boot.steps.flatMap((step) => (step.attempts > 0 ? [step.startUptime] : [])))
  const configStage = cloudInit.find(({ name }) => name === 'modules-config')
  const configured = units.find(({ name }) => name === 'cloud-config.service')?.end ?? configStage?.end
  if (configured === undefined || !Number.isFinite(firstStep) || firstStep < configured) return notSooner
  const fork = tunings.includes('cloud-init-fork')
  const [network = 0, config = 0] = fork ? stages.map((each) => loadSeconds(boot.boot, each)) : []
  const atNetworkStage = fork ? loadedAhead(boot.boot) + network : 0
  return { atNetworkStage, atFirstStep: Math.min(atNetworkStage + config + firstStep - configured, firstStep) }
}

/** What a stage saves that need not load Python. */
function loadSeconds(boot: Report['boot'], { stage, units }: (typeof stages)[number]): number {
  const unit = boot?.units.find(({ name }) => (units as readonly string[]).includes(name))
  const record = boot?.cloudInit.find(({ name }) => name === stage)
  return unit === undefined || record === undefined ? 0 : forkShare * Math.max(0, record.start - unit.start)
}

/**
 * What the first stage saves where Python is loaded for it beside the beginning of the boot: all of it, or as much as there is
 * time for between the start of systemd and that of the stage.
 */
function loadedAhead({ units, cloudInit, kernelSeconds, initrdSeconds }: NonNullable<Report['boot']>): number {
  const unit = units.find(({ name }) => name === 'cloud-init-local.service')
  const stage = cloudInit.find(({ name }) => name === 'init-local')
  if (unit === undefined || stage === undefined) return 0
  const room = unit.start - kernelSeconds - initrdSeconds
  return Math.max(0, Math.min(forkShare * (stage.start - unit.start), besideShare * room))
}
