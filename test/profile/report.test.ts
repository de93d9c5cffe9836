import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ranAll, reportSchema } from '../../src/profile/report.ts'
import { fixture, fixtureNames } from './support.ts'

const folder = new URL('../fixtures/', import.meta.url)

describe('report fixtures', () => {
  const files = readdirSync(folder).filter((name) => /^report-.*\.json$/.test(name))

  it('are the ones named here', () => {
    expect(files.toSorted()).toEqual(
      [...fixtureNames, 'not-applicable'].map((name) => `report-${name}.json`).toSorted(),
    )
  })

  it.each(files)('%s is a valid report with no member that the schema does not know', (name) => {
    const document: unknown = JSON.parse(readFileSync(new URL(name, folder), 'utf8'))
    expect(reportSchema.parse(document)).toEqual(document)
  })

  it('show what they are named after', () => {
    expect(fixture('runtime').steps.every((step) => step.outcome === 'ran')).toBe(true)
    expect(fixture('baked').steps.filter((step) => step.baked).length).toBe(3)
    expect(fixture('failed')).toMatchObject({ outcome: 'failed' })
    expect(fixture('failed').steps.map((step) => step.outcome)).toContain('blocked')
    expect(fixture('not-applicable').steps.map((step) => step.outcome)).toContain('not-applicable')
    expect(['runtime', 'not-applicable', 'baked', 'failed'].map((name) => ranAll(fixture(name as 'runtime')))).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect(fixture('cron-noop')).toMatchObject({ cold: false, first: false, trigger: 'cron' })
  })
})

describe('reportSchema', () => {
  const broken: readonly (readonly [string, (document: Record<string, unknown>) => unknown])[] = [
    ['another version', (d) => ({ ...d, v: 2 })],
    ['a missing run', ({ run: _, ...d }) => d],
    ['a bundle that is no digest', (d) => ({ ...d, bundle: 'latest' })],
    ['an unknown trigger', (d) => ({ ...d, trigger: 'sun' })],
    ['an unknown purpose', (d) => ({ ...d, purpose: 'test' })],
    ['negative uptime', (d) => ({ ...d, readyUptime: -1 })],
    ['steps that are no list', (d) => ({ ...d, steps: {} })],
    ['a step with a short digest', (d) => ({ ...d, steps: [{ ...(d['steps'] as object[])[0], digest: 'ab' }] })],
    ['a step with an unknown outcome', (d) => ({ ...d, steps: [{ ...(d['steps'] as object[])[0], outcome: 'ok' }] })],
  ]

  it.each(broken)('refuses %s', (_, change) => {
    expect(reportSchema.safeParse(change({ ...fixture('runtime') })).success).toBe(false)
  })

  it('takes a shrunk disk and an agent that got no bundle', () => {
    const document = fixture('runtime')
    const shrunk = document.steps.map((step) => ({ ...step, diskBytes: -5 }))
    expect(reportSchema.safeParse({ ...document, bundle: '', steps: shrunk }).success).toBe(true)
  })
})
