import { describe, expect, test } from 'vitest'
import { chooseEngine } from '../../src/bake/choose-engine.ts'
import type { BakeEngine, BakeJob } from '../../src/bake/engine.ts'
import type { Context } from '../../src/context.ts'

const job = { recipeName: 'web' } as BakeJob
const context = {} as Context

function engine(name: BakeEngine['name'], obstacle?: string): BakeEngine {
  return {
    name,
    keepsBoot: false,
    obstacle: () => Promise.resolve(obstacle),
    fingerprint: () => Promise.resolve(null),
    open: () => Promise.reject(new Error('not opened here')),
  }
}

describe('the choice of an engine', () => {
  test.each<[string, 'auto' | 'vm' | 'container', BakeEngine[], string, string]>([
    ['auto takes the first', 'auto', [engine('container'), engine('vm')], 'container', 'the fastest that there is'],
    [
      'auto says why the first was left',
      'auto',
      [engine('container', 'it needs root'), engine('vm')],
      'vm',
      'because container cannot be used: it needs root',
    ],
    ['a wanted one is taken', 'vm', [engine('container'), engine('vm')], 'vm', 'as asked for'],
  ])('%s', async (_what, wanted, engines, name, why) => {
    const chosen = await chooseEngine(wanted, engines, job, context)
    expect(chosen.engine.name).toBe(name)
    expect(chosen.why).toContain(why)
  })

  test('a wanted one is never replaced', async () => {
    const engines = [engine('container', 'it needs root'), engine('vm')]
    await expect(chooseEngine('container', engines, job, context)).rejects.toThrow('it needs root')
  })

  test('every obstacle is named where none is left', async () => {
    const engines = [engine('container', 'it needs root'), engine('vm', 'there is no QEMU')]
    await expect(chooseEngine('auto', engines, job, context)).rejects.toThrow(
      /container cannot be used: it needs root\n {2}vm cannot be used: there is no QEMU/,
    )
  })
})
