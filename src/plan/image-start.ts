import type { Report } from '../profile/report.ts'

/** What of making RSA, ECDSA and Ed25519 host keys goes into the RSA one: 3.2 of 4.2 s where it was measured. */
const rsaShare = 0.75

/** Stages on the way to the steps of an image's host, and the units that run them, by the names of old and new releases. */
const stages = [
  { stage: 'init-network', units: ['cloud-init.service', 'cloud-init-network.service'] },
  { stage: 'modules-config', units: ['cloud-config.service'] },
] as const

/**
 * Seconds by which a host of an image would have begun its steps sooner than this boot of a plain base did, told from its
 * boot record; 0 without one. On a plain base cloud-init's last stage starts the agent, which then fetches; in an image it
 * fetches before, and its steps wait for the end of the config stage only. Of `tunings`, those whose effect shows in the record
 * are counted: what loads Python before each stage, and what makes the RSA host key beside other work.
 */
export function soonerInImage(boot: Report, tunings: readonly string[]): number {
  if (boot.image !== '' || boot.boot === undefined) return 0
  const { units, cloudInit } = boot.boot
  const firstStep = Math.min(...boot.steps.flatMap((step) => (step.attempts > 0 ? [step.startUptime] : [])))
  const configStage = cloudInit.find(({ name }) => name === 'modules-config')
  const configured = units.find(({ name }) => name === 'cloud-config.service')?.end ?? configStage?.end
  if (configured === undefined || !Number.isFinite(firstStep) || firstStep < configured) return 0
  let seconds = firstStep - configured
  if (tunings.includes('cloud-init-fork')) {
    for (const each of stages) {
      const unit = units.find(({ name }) => (each.units as readonly string[]).includes(name))
      const stage = cloudInit.find(({ name }) => name === each.stage)
      if (unit !== undefined && stage !== undefined) seconds += Math.max(0, stage.start - unit.start)
    }
    seconds += loadedAhead(boot.boot)
  }
  if (tunings.includes('ssh-rsa-ahead')) seconds += rsaKeySeconds(boot)
  return Math.min(seconds, firstStep)
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
  return Math.max(0, Math.min(stage.start - unit.start, room))
}

/**
 * Standard deviation, seconds, of what making the RSA host key takes, told from one boot; 0 without a record of it. Candidates
 * for a prime are drawn until one passes, so the time for each of the two is exponential, and for both σ = mean / √2.
 */
export function keySearchDeviation(boot: Report): number {
  return rsaKeySeconds(boot) * Math.SQRT1_2
}

function rsaKeySeconds({ boot }: Report): number {
  const keys = boot?.cloudInit.find(({ name }) => /^init[^/]*\/config-ssh$/.test(name))
  return keys === undefined ? 0 : rsaShare * (keys.end - keys.start)
}
