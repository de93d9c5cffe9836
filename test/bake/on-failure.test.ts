import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { BakeSession } from '../../src/bake/engine.ts'
import { defaultFailureMode, stepError } from '../../src/bake/on-failure.ts'
import { formatUserError } from '../../src/errors.ts'
import { reportSchema } from '../../src/profile/report.ts'
import type { Recipe } from '../../src/recipe/model.ts'

const good = reportSchema.parse(
  JSON.parse(readFileSync(new URL('../fixtures/report-baked.json', import.meta.url), 'utf8')),
)
const first = good.steps[0]!
const report = {
  ...good,
  outcome: 'failed' as const,
  error: `step ${first.name} failed with exit status 3`,
  steps: [{ ...first, outcome: 'failed' as const, output: 'line one\nno such file\n' }],
}
const recipe = {
  name: 'web',
  steps: [{ name: first.name, rendered: { env: { SIZE: '3', TITLE: 'a b' }, script: '', files: [] } }],
} as unknown as Recipe
const session = { consoleLog: '/logs/bake.log' } as BakeSession

describe('a step that fails in a bake', () => {
  test('is shown with its output, its environment, the console and where the next bake goes on', () => {
    const text = formatUserError(stepError({ recipe, step: first.name, session, report, resumesAfter: 'packages' }))
    expect(text).toContain('  | line one\n  | no such file\n')
    expect(text).toContain("environment: SIZE='3' TITLE='a b'")
    expect(text).toContain('console: /logs/bake.log')
    expect(text).toContain('it goes on after step packages')
  })

  test.each([
    [{ json: false, interactive: true }, 'ask'],
    [{ json: true, interactive: true }, 'abort'],
    [{ json: false, interactive: false }, 'abort'],
  ] as const)('asks only where somebody can answer: %o', (options, mode) => {
    expect(defaultFailureMode(options)).toBe(mode)
  })
})
