import { describe, expect, test } from 'vitest'
import { builtInAllowances } from '../../src/verify/allowed.ts'
import type { Difference } from '../../src/verify/compare.ts'
import { explain, type Allowance } from '../../src/verify/explain.ts'
import { globPattern } from '../../src/verify/glob.ts'
import { aspectsOf } from '../../src/verify/inventory.ts'

function difference(name: string, change: Partial<Difference> = {}): Difference {
  return { kind: 'file', name, aspect: 'content', base: 'a', image: 'b', ...change }
}

const rule: Allowance = { id: 'r', kind: 'file', glob: '/var/log/**', reason: 'logs', source: 'recipe' }

describe('globPattern', () => {
  test.each([
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/b/c', false],
    ['/a/**', '/a', true],
    ['/a/**', '/a/b/c', true],
    ['/a/**', '/ab', false],
    ['/**/c', '/a/b/c', true],
    ['/**/c', '/c', true],
    ['/**/c', '/a/bc', false],
    ['/etc/**/*.bak', '/etc/.a.bak', true],
    ['/etc/**/*.bak', '/etc/a/b.bak', true],
    ['/etc/**/*.bak', '/etcx/b.bak', false],
    ['/a.b', '/aXb', false],
    ['/a?', '/ab', true],
    ['/a?', '/a/', false],
    ['/a[1]', '/a[1]', true],
    ['/a[1]', '/a1', false],
    ['/a/*', '/a/x\ny', true],
    ['*.service', 'a.service', true],
    ['tcp 0.0.0.0:*', 'tcp 0.0.0.0:80', true],
  ])('%s and %s: %s', (glob, name, matches) => {
    expect(globPattern(glob).test(name)).toBe(matches)
  })
})

describe('explain', () => {
  test.each<readonly [string, Partial<Allowance>, Difference, boolean]>([
    ['anything about a file', {}, difference('/var/log/x'), true],
    ['not another file', {}, difference('/var/lib/x'), false],
    ['not another kind', { kind: 'unit' }, difference('/var/log/x'), false],
    ['the named aspect', { aspects: ['content'] }, difference('/var/log/x'), true],
    ['not another aspect', { aspects: ['content'] }, difference('/var/log/x', { aspect: 'mode' }), false],
    [
      'what only the base has',
      { only: 'base' },
      difference('/var/log/x', { aspect: 'existence', image: undefined }),
      true,
    ],
    [
      'not what only the image has',
      { only: 'base' },
      difference('/var/log/x', { aspect: 'existence', base: undefined }),
      false,
    ],
  ])('allows %s', (_what, change, found, allowed) => {
    const { explained, unexplained } = explain([found], [{ ...rule, ...change }], [])
    expect([explained.length, unexplained.length]).toEqual(allowed ? [1, 0] : [0, 1])
  })

  test('the first allowance that fits is named', () => {
    const second: Allowance = { ...rule, id: 'second', glob: '/var/**' }
    const { explained, unused } = explain([difference('/var/log/x')], [rule, second], [])
    expect(explained[0]?.by).toEqual({ id: 'r', source: 'recipe', reason: 'logs' })
    expect(unused).toEqual([second])
  })

  test('what differs between two launches of the image belongs to the launch, but only in that aspect', () => {
    const noise = difference('/srv/instance', { base: 'b', image: 'c' })
    const other = difference('/srv/instance', { aspect: 'owner' })
    const { explained, unexplained } = explain([difference('/srv/instance'), other], [], [noise])
    expect(explained.map(({ by }) => by.source)).toEqual(['launches'])
    expect(unexplained).toEqual([other])
  })
})

describe('the built-in allowances', () => {
  test('have a reason, and name aspects that there are', () => {
    for (const { id, kind, reason, aspects, source } of builtInAllowances) {
      expect([id, reason.length > 10]).toEqual([id, true])
      expect(source).toBe('built-in')
      for (const aspect of aspects ?? []) expect(aspectsOf[kind]).toContain(aspect)
    }
  })

  test.each(['user@1001.service', 'user-runtime-dir@1001.service', 'run-user-1001.mount', 'session-c1.scope'])(
    'explain that %s runs, and not that it is enabled',
    (name) => {
      const state = difference(name, { kind: 'unit', aspect: 'state' })
      const enabled = difference(name, { kind: 'unit', aspect: 'enabled' })
      expect(explain([state, enabled], builtInAllowances, []).unexplained).toEqual([enabled])
    },
  )

  test.each<readonly [string, Partial<Difference>]>([
    ['/etc/nginx/nginx.conf', {}],
    ['/usr/bin/sudo', { aspect: 'mode' }],
    ['/etc/shadow', { aspect: 'mode' }],
    ['/etc/ssh/ssh_host_ed25519_key', { aspect: 'mode' }],
    ['/etc/ssh/ssh_host_ed25519_key', { aspect: 'existence', image: undefined }],
    ['/etc/machine-id', { aspect: 'owner' }],
    ['/var/log/nginx', { aspect: 'owner' }],
    ['/srv/app/main.py', {}],
    ['/etc/cron.d/mine', {}],
    ['/root/.ssh/authorized_keys', {}],
    ['/boot/vmlinuz', {}],
    ['nginx:amd64', { kind: 'package', aspect: 'version' }],
    ['nginx.service', { kind: 'unit', aspect: 'state' }],
    ['parbake-boot.service', { kind: 'unit', aspect: 'enabled' }],
    ['tcp 0.0.0.0:80', { kind: 'port', aspect: 'existence' }],
    ['root', { kind: 'user', aspect: 'password' }],
    ['/proc/sys/net/ipv4/ip_forward', { kind: 'sysctl', aspect: 'value' }],
  ])('do not explain %s', (name, change) => {
    expect(explain([difference(name, change)], builtInAllowances, []).unexplained.length).toBe(1)
  })
})
