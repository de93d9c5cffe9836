import type { VerificationCheck } from '../image/manifest.ts'
import type { Report } from '../profile/report.ts'

export interface CheckInput {
  readonly imageId: string
  /** Digests of the steps in the image. */
  readonly bakedDigests: ReadonlySet<string>
  /** What the bake reported: whose identity must not come back. */
  readonly bake: Report
  /** What a fresh launch of the image reported. */
  readonly launch: Report
}

/** What a fresh launch of an image must show before it is published. Pure. */
export function verificationChecks({ imageId, bakedDigests, bake, launch }: CheckInput): readonly VerificationCheck[] {
  const baked = launch.steps.filter((step) => bakedDigests.has(step.digest))
  const others = launch.steps.filter((step) => !bakedDigests.has(step.digest) && step.outcome !== 'not-applicable')
  const wrong = (steps: readonly { name: string; outcome: string }[]) =>
    steps.map((step) => `${step.name} ${step.outcome}`).join(', ')
  const notSkipped = baked.filter(
    (step) => !(step.outcome === 'stamped' && step.baked) && step.outcome !== 'not-applicable',
  )
  const notRun = others.filter((step) => step.outcome !== 'ran')
  return [
    check('converged', launch.outcome === 'ok', launch.error === '' ? 'the first converge succeeded' : launch.error),
    check('image-id', launch.image === imageId, `the host says it booted from '${launch.image}'`),
    check(
      'baked-steps-skipped',
      baked.length === bakedDigests.size && notSkipped.length === 0,
      notSkipped.length > 0 ? wrong(notSkipped) : `${baked.length} of ${bakedDigests.size} skipped`,
    ),
    check('other-steps-ran', notRun.length === 0, notRun.length > 0 ? wrong(notRun) : `${others.length} ran`),
    fresh('machine-id-fresh', bake.identity.machineId, launch.identity.machineId),
    fresh('ssh-host-keys-fresh', bake.identity.sshHostKeys, launch.identity.sshHostKeys),
    fresh('hostname-fresh', bake.identity.hostname, launch.identity.hostname),
    fresh('instance-id-fresh', bake.instance, launch.instance),
  ]
}

/**
 * The checks of each of at least one launch, and that no two have an identity in common. Of each check there is one: the first
 * that failed, else the last launch's. Pure.
 */
export function checksOfLaunches({
  launches,
  ...input
}: Omit<CheckInput, 'launch'> & { readonly launches: readonly Report[] }): readonly VerificationCheck[] {
  const byName = new Map<string, VerificationCheck>()
  for (const launch of launches) {
    for (const each of verificationChecks({ ...input, launch })) {
      if (byName.get(each.name)?.ok !== false) byName.set(each.name, each)
    }
  }
  return [...byName.values(), ...(launches.length > 1 ? [launchesDiffer(launches)] : [])]
}

const identities: readonly (readonly [string, (launch: Report) => string])[] = [
  ['machine-id', (launch) => launch.identity.machineId],
  ['SSH host keys', (launch) => launch.identity.sshHostKeys],
  ['hostname', (launch) => launch.identity.hostname],
  ['instance id', (launch) => launch.instance],
]

function launchesDiffer(launches: readonly Report[]): VerificationCheck {
  const same = identities.flatMap(([name, of]) => (new Set(launches.map(of)).size < launches.length ? [name] : []))
  const detail = same.length === 0 ? `${launches.length} launches` : `the same in two launches: ${same.join(', ')}`
  return check('launches-differ', same.length === 0, detail)
}

function check(name: string, ok: boolean, detail: string): VerificationCheck {
  return { name, ok, detail }
}

function fresh(name: string, before: string, after: string): VerificationCheck {
  const detail = after === '' ? 'the launched host has none' : after === before ? 'the same as in the bake' : 'new'
  return { name, ok: after !== '' && after !== before, detail }
}
