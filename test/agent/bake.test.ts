import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { reportSchema } from '../../src/profile/report.ts'
import { AgentHost, outcomes, testRecipe } from '../support/agent.ts'

/** The recipe of these tests: two steps worth baking, one to be left, and one of each kind that a bake leaves. */
function recipeOf(host: AgentHost) {
  const steps = [
    host.step('packages', 'echo "$PARBAKE_PHASE ${PARBAKE_INSTANCE_ID-none}" >>"$LINE"', {
      needs: [],
      env: { LINE: host.path('out/phase') },
    }),
    host.step('compile', '', { needs: ['packages'] }),
    host.step('left', '', { needs: [] }),
    host.step('register', '', { needs: [], when: 'instance' }),
    host.step('every', '', { needs: [], when: 'always' }),
  ]
  return testRecipe(steps, { parallel: 1 })
}

describe('a bake', () => {
  it('runs the steps it is told, tells how each goes, and leaves the rest', async () => {
    await using host = await AgentHost.create()
    await host.publish(recipeOf(host))
    const events = host.path('events')
    const result = await host.run(['bake', '--steps', 'packages,compile', '--events', events])
    expect(result.code).toBe(0)
    expect(host.trace()).toEqual(['packages', 'compile'])
    expect(host.text('out/phase')).toBe('bake none\n')
    const lines = host.text('events').split('\n')
    expect(lines.slice(0, 4).map((line) => line.replace(/[0-9.]+$/, 'T'))).toEqual([
      'step-start packages',
      'step-end packages ran T',
      'step-start compile',
      'step-end compile ran T',
    ])
    expect(lines[5]).toBe('')
    const report = reportSchema.parse(JSON.parse(lines[4]!.replace(/^report /, '')))
    expect(report.trigger).toBe('bake')
    expect(outcomes(report)).toEqual({
      packages: 'ran',
      compile: 'ran',
      left: 'excluded',
      register: 'excluded',
      every: 'excluded',
    })
    // No report goes to the store: it would count as a launch.
    expect(host.text('agent.log')).not.toMatch(/report sent/)
  })

  it('leaves stamps that the launched image honours and names', async () => {
    await using host = await AgentHost.create()
    await host.publish(recipeOf(host))
    await host.run(['bake', '--steps', 'packages,compile'])
    await host.clearTrace()
    await host.reboot()
    await writeFile(host.path('instance-id'), 'i-launched\n')
    await writeFile(host.path('state/image'), 'web-20261120-abc\n')
    const report = await host.converge()
    expect(host.trace()).toEqual(['left', 'register', 'every'])
    expect(report.steps.map((step) => [step.name, step.outcome, step.baked])).toEqual([
      ['packages', 'stamped', true],
      ['compile', 'stamped', true],
      ['left', 'ran', false],
      ['register', 'ran', false],
      ['every', 'ran', false],
    ])
    expect(report).toMatchObject({ image: 'web-20261120-abc', cold: true, first: true, instance: 'i-launched' })
  })

  it('fails with the step that fails, and stamps what succeeded', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('good'), host.step('bad', 'exit 5'), host.step('next')]))
    const result = await host.run(['bake', '--steps', 'good,bad,next', '--events', host.path('events')])
    expect(result.code).toBe(1)
    expect(host.trace()).toEqual(['good', 'bad'])
    expect(host.text('events')).toMatch(/^step-end bad failed /m)
    expect(host.text('events')).toMatch(
      /^report \{.*"name":"next","digest":"[0-9a-f]{64}","when":"change","outcome":"blocked"/m,
    )
  })

  it('does not bake from an older bundle when the wanted one cannot be had', async () => {
    await using host = await AgentHost.create()
    await host.publish(recipeOf(host))
    await host.run(['bake', '--steps', 'packages'])
    await host.clearTrace()
    await host.put('channels/web/stable', 'broken\n')
    const result = await host.run(['bake', '--steps', 'packages,compile'])
    expect(result.code).toBe(1)
    expect(host.trace()).toEqual([])
  })
})
