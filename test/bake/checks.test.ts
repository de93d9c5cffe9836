import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checksOfLaunches, verificationChecks } from '../../src/bake/checks.ts'
import { reportSchema, type Report } from '../../src/profile/report.ts'

const load = (name: string): Report =>
  reportSchema.parse(JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8')))

const launch = load('report-baked.json')
const bake: Report = {
  ...launch,
  instance: 'iid-bake-1',
  identity: { machineId: 'a', sshHostKeys: 'b', hostname: 'c' },
}
const bakedDigests = new Set(launch.steps.filter((step) => step.baked).map((step) => step.digest))
const input = { imageId: launch.image, bakedDigests, bake, launch }

function failed(change: Partial<typeof input>): readonly string[] {
  return verificationChecks({ ...input, ...change })
    .filter((check) => !check.ok)
    .map((check) => check.name)
}

describe('verification of an image', () => {
  test('a good launch passes every check', () => {
    expect(bakedDigests.size).toBeGreaterThan(0)
    expect(failed({})).toEqual([])
  })

  test.each<[string, Partial<typeof input>, string[]]>([
    ['another image answered', { imageId: 'web-other' }, ['image-id']],
    ['a failed converge', { launch: { ...launch, outcome: 'failed', error: 'no' } }, ['converged']],
    [
      'a baked step that ran again',
      { launch: { ...launch, steps: launch.steps.map((s) => (s.baked ? { ...s, outcome: 'ran', baked: false } : s)) } },
      ['baked-steps-skipped'],
    ],
    [
      'a baked step stamped by the launch itself',
      { launch: { ...launch, steps: launch.steps.map((s) => ({ ...s, baked: false })) } },
      ['baked-steps-skipped'],
    ],
    [
      'a baked step that is not in the report',
      { launch: { ...launch, steps: launch.steps.filter((s) => !s.baked) } },
      ['baked-steps-skipped'],
    ],
    [
      'another step that was skipped',
      { launch: { ...launch, steps: launch.steps.map((s) => (s.baked ? s : { ...s, outcome: 'stamped' })) } },
      ['other-steps-ran'],
    ],
    [
      'steps that do not apply to such a host',
      { launch: { ...launch, steps: launch.steps.map((s) => ({ ...s, baked: false, outcome: 'not-applicable' })) } },
      [],
    ],
    [
      'the identity of the bake',
      { bake: { ...bake, identity: launch.identity, instance: launch.instance } },
      ['machine-id-fresh', 'ssh-host-keys-fresh', 'hostname-fresh', 'instance-id-fresh'],
    ],
    [
      'no host keys at all',
      { launch: { ...launch, identity: { ...launch.identity, sshHostKeys: '' } } },
      ['ssh-host-keys-fresh'],
    ],
  ])('%s fails', (_what, change, names) => {
    expect(failed(change)).toEqual(names)
  })
})

describe('verification by more than one launch', () => {
  const other: Report = {
    ...launch,
    instance: 'iid-2',
    identity: { machineId: 'd', sshHostKeys: 'e', hostname: 'f' },
  }
  const of = (...launches: Report[]) => checksOfLaunches({ ...input, launches })

  test('one launch has the checks it always had', () => {
    expect(of(launch)).toEqual(verificationChecks(input))
  })

  test('two launches pass each check, and differ', () => {
    const checks = of(launch, other)
    expect(checks.filter(({ ok }) => !ok)).toEqual([])
    expect(checks.at(-1)).toEqual({ name: 'launches-differ', ok: true, detail: '2 launches' })
  })

  test('a failure in any of them stays, whatever comes after', () => {
    const broken: Report = { ...other, outcome: 'failed', error: 'no route', instance: 'iid-3' }
    expect(of(launch, broken, other).find(({ name }) => name === 'converged')).toEqual({
      ...{ name: 'converged', ok: false, detail: 'no route' },
    })
  })

  test.each<[string, Partial<Report>, string]>([
    ['machine-id', { identity: { ...other.identity, machineId: launch.identity.machineId } }, 'machine-id'],
    ['host keys', { identity: { ...other.identity, sshHostKeys: launch.identity.sshHostKeys } }, 'SSH host keys'],
    ['name', { identity: { ...other.identity, hostname: launch.identity.hostname } }, 'hostname'],
    ['instance id', { instance: launch.instance }, 'instance id'],
  ])('two launches with the same %s fail', (_what, change, name) => {
    const last = of(launch, { ...other, ...change }).at(-1)
    expect(last).toEqual({ name: 'launches-differ', ok: false, detail: `the same in two launches: ${name}` })
  })
})
