import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { AgentHost, outcomes, shells, testRecipe, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

describe.each(names)('a converge under %s', (shell) => {
  it('runs every step once, in order, in a clean environment, and reports it', async () => {
    await using host = await AgentHost.create()
    const show = [
      `env | LC_ALL=C sort | grep -v -e ^_= -e ^OLDPWD= -e ^SHLVL= >${host.path('out/env')}`,
      `pwd -P >${host.path('out/pwd')}`,
      `umask >${host.path('out/umask')}`,
      `cat >${host.path('out/stdin')}`,
      `cat here/file >${host.path('out/file')}`,
      `ls -l /proc/self/fd | grep -c ' 9 ->' >${host.path('out/fd9')}; true`,
    ].join('\n')
    await host.publish(
      testRecipe([
        host.step('first', show, {
          env: { GREETING: 'hello  "world" = $HOME', A: '' },
          files: { 'here/file': 'content' },
        }),
        host.step('second'),
        host.step('third'),
      ]),
    )
    const report = await host.converge({ shell, env: { SECRET_OF_CALLER: 'x', TMP: '/etc', LC_ALL: 'de_DE' } })
    expect(host.trace()).toEqual(['first', 'second', 'third'])
    expect(
      host
        .text('out/env')
        .split('\n')
        .filter((line) => !line.startsWith('PWD=')),
    ).toEqual([
      'A=',
      'DEBIAN_FRONTEND=noninteractive',
      'GREETING=hello  "world" = $HOME',
      'HOME=/root',
      'LANG=C.UTF-8',
      'PARBAKE_INSTANCE_ID=i-one',
      'PARBAKE_PHASE=runtime',
      'PARBAKE_RECIPE=web',
      `PARBAKE_RUN_ID=${report.run}`,
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      '',
    ])
    expect(host.text('out/pwd')).toBe(`${host.path('state/bundles', report.bundle, 'steps/01/files')}\n`)
    expect(host.text('out/umask').trim()).toMatch(/^0*22$/)
    expect(host.text('out/stdin')).toBe('')
    expect(host.text('out/file')).toBe('content')
    expect(host.text('out/fd9')).toBe('0\n')
    expect(outcomes(report)).toEqual({ first: 'ran', second: 'ran', third: 'ran' })
    expect(report).toMatchObject({
      recipe: 'web',
      channel: 'stable',
      serial: 1,
      trigger: 'manual',
      purpose: 'fleet',
      instance: 'i-one',
      first: true,
      cold: true,
      outcome: 'ok',
      error: '',
      image: '',
    })
    expect(report.readyUptime).toBeGreaterThanOrEqual(report.startUptime)
    expect(report.steps.every((step) => step.attempts === 1 && step.exit === 0 && !step.baked)).toBe(true)
  })

  it('runs nothing the second time', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('first'), host.step('second')]))
    await host.converge({ shell })
    await host.clearTrace()
    const report = await host.converge({ shell })
    expect(host.trace()).toEqual([])
    expect(outcomes(report)).toEqual({ first: 'stamped', second: 'stamped' })
    expect(report).toMatchObject({ first: false, cold: false, outcome: 'ok' })
    expect(report.steps.map((step) => [step.attempts, step.wall, step.startUptime])).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ])
  })

  it('runs a changed step and what needs it, and leaves the rest', async () => {
    await using host = await AgentHost.create()
    const steps = (word: string) =>
      testRecipe([
        host.step('alone', '', { needs: [] }),
        host.step('changes', `: ${word}`, { needs: [] }),
        host.step('needs-it', '', { needs: ['changes'] }),
        host.step('other', '', { needs: ['alone'] }),
      ])
    await host.publish(steps('one'))
    await host.converge({ shell })
    await host.clearTrace()
    await host.publish(steps('two'))
    const report = await host.converge({ shell })
    expect(host.trace()).toEqual(['changes', 'needs-it'])
    expect(report.serial).toBe(2)
    await host.clearTrace()
    await host.publish(steps('one'))
    await host.converge({ shell })
    expect(host.trace()).toEqual([])
  })

  it('keeps to each step’s when', async () => {
    await using host = await AgentHost.create()
    const when = (name: 'change' | 'instance' | 'boot' | 'always') =>
      host.step(`on-${name}`, '', { when: name, needs: [] })
    await host.publish(testRecipe([when('change'), when('instance'), when('boot'), when('always')], { parallel: 1 }))
    await host.converge({ shell })
    expect(host.trace()).toEqual(['on-change', 'on-instance', 'on-boot', 'on-always'])
    await host.clearTrace()
    await host.converge({ shell })
    expect(host.trace()).toEqual(['on-always'])
    await host.clearTrace()
    await host.reboot()
    expect(await host.converge({ shell })).toMatchObject({ first: true, cold: false })
    expect(host.trace()).toEqual(['on-boot', 'on-always'])
    await host.clearTrace()
    await writeFile(host.path('instance-id'), 'i-two\n')
    expect(await host.converge({ shell })).toMatchObject({ first: false, cold: true, instance: 'i-two' })
    expect(host.trace()).toEqual(['on-instance', 'on-always'])
  })

  it('stops what needs a failed step, runs the rest, and tells the end of the output', async () => {
    await using host = await AgentHost.create()
    const noise = String.raw`printf 'quote " back\\slash \\n tab\there bell\a null\000 bad\377\303 esc\033[0m\rcarriage\nlast'; exit 7`
    const recipe = testRecipe(
      [
        host.step('good', '', { needs: [] }),
        host.step('bad', noise, { needs: [] }),
        host.step('blocked', '', { needs: ['good', 'bad'] }),
        host.step('blocked-too', '', { needs: ['blocked'] }),
        host.step('independent', '', { needs: ['good'] }),
      ],
      { parallel: 1 },
    )
    await host.publish(recipe)
    const report = await host.converge({ shell, code: 1 })
    expect(host.trace()).toEqual(['good', 'bad', 'independent'])
    expect(outcomes(report)).toEqual({
      good: 'ran',
      bad: 'failed',
      blocked: 'blocked',
      'blocked-too': 'blocked',
      independent: 'ran',
    })
    expect(report).toMatchObject({ outcome: 'failed' })
    expect(report.error).toMatch(/^step bad failed with exit status 7 after [0-9.]+ s$/)
    expect(report.steps[1]).toMatchObject({ exit: 7, attempts: 1 })
    expect(report.steps[1]?.output).toBe(
      'quote " back\\slash \\n tab\there bell? null? bad?? esc?[0m\ncarriage\nlast\n',
    )
    expect(recipe.steps.map((step) => host.stamped(step.digest))).toEqual([true, false, false, false, true])
    await host.clearTrace()
    await host.converge({ shell, code: 1 })
    expect(host.trace()).toEqual(['bad'])
  })

  it('tries again as often as the step says', async () => {
    await using host = await AgentHost.create()
    const third = `test "$(grep -c flaky ${host.path('out/trace')})" -ge 3`
    await host.publish(
      testRecipe([host.step('flaky', third, { retries: 3 }), host.step('hopeless', 'exit 9', { retries: 1 })]),
    )
    const report = await host.converge({ shell, code: 1 })
    expect(host.trace()).toEqual(['flaky', 'flaky', 'flaky', 'hopeless', 'hopeless'])
    expect(report.steps.map((step) => [step.outcome, step.attempts, step.exit])).toEqual([
      ['ran', 3, 0],
      ['failed', 2, 9],
    ])
  })

  it('stops a step and all its processes at its timeout', async () => {
    await using host = await AgentHost.create()
    const spawnMore = `/bin/sleep 60 & echo $! >${host.path('out/child')}\necho $$ >${host.path('out/self')}\nwait`
    await host.publish(
      testRecipe([
        host.step('slow', spawnMore, { timeoutSeconds: 1, needs: [] }),
        host.step('next', '', { needs: [] }),
      ]),
    )
    const report = await host.converge({ shell, code: 1 })
    expect(report.steps.map((step) => [step.outcome, step.exit])).toEqual([
      ['failed', 124],
      ['ran', 0],
    ])
    expect(report.error).toBe('step slow failed with its timeout of 1 s')
    for (const name of ['child', 'self']) expect(isAlive(Number(host.text('out', name)))).toBe(false)
  })

  it('measures what a step used', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('burn', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done')]))
    const [step] = (await host.converge({ shell })).steps
    expect(step?.cpu).toBeGreaterThan(0)
    expect(step?.wall).toBeGreaterThan(0)
    expect(step?.startUptime).toBeGreaterThan(0)
  })

  it('says on the console how a boot went', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('first')]))
    expect((await host.run(['run', '--trigger', 'boot'], { shell })).code).toBe(0)
    expect(host.text('console')).toMatch(
      /^parbake: ready recipe=web run=[0-9a-f-]{36} serial=1 ran=1 stamped=0 uptime=[0-9]+\.[0-9]{2}$/m,
    )
    await rm(host.path('console'))
    // The unit of a baked image and runcmd may both start it: the second one has nothing to do.
    expect((await host.run(['run', '--trigger', 'boot'], { shell })).code).toBe(0)
    expect(existsSync(host.path('console'))).toBe(false)
    await host.reboot()
    await host.publish(testRecipe([host.step('first', 'exit 1')]))
    expect((await host.run(['run', '--trigger', 'boot'], { shell })).code).toBe(1)
    expect(host.text('console')).toMatch(/^parbake: failed recipe=web run=\S+ serial=2 ran=0 stamped=0 failed=1 /m)
  })
})

/** True for a process that exists and is no zombie. */
function isAlive(pid: number): boolean {
  expect(pid).toBeGreaterThan(1)
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
