import { describe, expect, test } from 'vitest'
import { idempotenceCheck } from '../../src/verify/idempotence.ts'
import { identityChecks } from '../../src/verify/identity.ts'
import { fileLine, inventory, secondReport } from './support.ts'

/** A launch whose identity is made of `id`; `change` replaces lines by the beginning of what they are. */
function launched(id: string, without: readonly string[] = [], ...more: readonly string[]) {
  const lines = {
    machine: fileLine('/etc/machine-id', { held: id }),
    hostname: `identity\thostname\t${id}`,
    instance: fileLine('/var/lib/cloud/data/instance-id', { held: id }),
    key: fileLine('/etc/ssh/ssh_host_ed25519_key', { held: id }),
    seed: fileLine('/var/lib/systemd/random-seed', { held: id }),
    dhcp: `identity\tdhcp\t${id}`,
  }
  return inventory(...Object.entries(lines).flatMap(([name, line]) => (without.includes(name) ? [] : [line])), ...more)
}

const outcomes = (...args: Parameters<typeof identityChecks>) =>
  Object.fromEntries(identityChecks(...args).map(({ name, ok, outcome }) => [name, `${outcome}${ok ? '' : '!'}`]))

const allDiffer = {
  'machine-id': 'differs',
  hostname: 'differs',
  'instance-id': 'differs',
  'ssh-host-keys': 'differs',
  'random-seed': 'differs',
  'dhcp-identity': 'differs',
  'generated-secrets': 'absent',
}

describe('identityChecks', () => {
  test('two hosts', () => expect(outcomes(launched('1'), launched('2'))).toEqual(allDiffer))

  test('one host twice', () => {
    expect(outcomes(launched('1'), launched('1'))).toEqual({
      ...Object.fromEntries(Object.keys(allDiffer).map((name) => [name, 'same!'])),
      'generated-secrets': 'absent',
    })
  })

  test.each([
    ['machine', 'machine-id', 'absent!'],
    ['hostname', 'hostname', 'absent!'],
    ['instance', 'instance-id', 'absent!'],
    ['key', 'ssh-host-keys', 'absent'],
    ['seed', 'random-seed', 'absent'],
    ['dhcp', 'dhcp-identity', 'absent'],
  ])('without %s', (part, name, outcome) => {
    expect(outcomes(launched('1', [part]), launched('2', [part]))).toEqual({ ...allDiffer, [name]: outcome })
  })

  test('one key of several that came with the image is enough', () => {
    const rsa = fileLine('/etc/ssh/ssh_host_rsa_key', { held: 'baked' })
    expect(outcomes(launched('1', [], rsa), launched('2', [], rsa))).toEqual({ ...allDiffer, 'ssh-host-keys': 'same!' })
  })

  test('a key that a package made in the bake, and one that is meant to be shared', () => {
    const path = '/etc/ssl/private/ssl-cert-snakeoil.key'
    const hosts = [launched('1', [], fileLine(path)), launched('2', [], fileLine(path))] as const
    expect(outcomes(...hosts)['generated-secrets']).toBe('same!')
    expect(identityChecks(...hosts).find(({ ok }) => !ok)?.detail).toContain(path)
    expect(outcomes(...hosts, ['/etc/ssl/private/*'])['generated-secrets']).toBe('absent')
  })
})

describe('idempotenceCheck', () => {
  test.each([
    [
      'all is stamped',
      [
        ['a', 'change', 'stamped'],
        ['b', 'boot', 'stamped'],
        ['c', 'instance', 'stamped'],
      ],
      '',
    ],
    [
      'always runs',
      [
        ['a', 'change', 'stamped'],
        ['b', 'always', 'ran'],
      ],
      '',
    ],
    ['a step runs again', [['a', 'change', 'ran']], 'step a (when: change) ran'],
    ['an instance step runs again', [['a', 'instance', 'ran']], 'step a (when: instance) ran'],
    ['always does not run', [['a', 'always', 'stamped']], 'step a (when: always) stamped'],
    ['a step is blocked', [['a', 'change', 'blocked']], 'step a (when: change) blocked'],
    ['nothing is reported', [], 'the second converge reports no step'],
  ] as const)('%s', (_what, steps, finding) => {
    const second = secondReport(steps.map(([name, when, outcome]) => ({ name, when, outcome })))
    const { ok, findings } = idempotenceCheck('base', second)
    expect([ok, findings.join()]).toEqual([finding === '', finding])
  })

  test('a failed converge', () => {
    const second = secondReport([{ name: 'a', when: 'change', outcome: 'stamped' }], { outcome: 'failed', error: 'no' })
    expect(idempotenceCheck('image', second).findings).toEqual(['the second converge failed: no'])
  })
})
