import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import {
  AgentHost,
  childrenOf,
  runningSteps,
  collect,
  outcomes,
  shells,
  testRecipe,
  until,
  type ShellName,
} from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

/** A step that goes on only once another one has begun beside it. */
function meets(host: AgentHost, name: string, other: string) {
  const wait = `n=0; while ! test -e ${host.path('out', other)}; do n=$((n+1)); [ $n -lt 200 ] || exit 3; /bin/sleep 0.05; done`
  return host.step(name, `touch ${host.path('out', name)}; ${wait}`, { needs: [] })
}

/** A step that fails where another one runs at the same time. */
function alone(host: AgentHost, name: string, rest: { packages?: boolean } = {}) {
  const lock = host.path('out/alone')
  return host.step(name, `touch ${host.path('out', name)}; mkdir ${lock} && /bin/sleep 0.2 && rmdir ${lock}`, {
    needs: [],
    ...rest,
  })
}

describe.each(names)('steps that need nothing of each other, under %s', (shell) => {
  it('run side by side, and what needs them after them', async () => {
    await using host = await AgentHost.create()
    await host.publish(
      testRecipe([meets(host, 'a', 'b'), meets(host, 'b', 'a'), host.step('after', '', { needs: ['a', 'b'] })], {
        parallel: 2,
      }),
    )
    const report = await host.converge({ shell })
    expect(outcomes(report)).toEqual({ a: 'ran', b: 'ran', after: 'ran' })
    expect(report.steps.map((step) => step.name)).toEqual(['a', 'b', 'after'])
    const [a, b, after] = report.steps
    for (const each of [a!, b!]) expect(after!.startUptime).toBeGreaterThanOrEqual(each.startUptime + each.wall - 0.011)
    expect(host.trace().at(-1)).toBe('after')
  })

  it('are as many at a time as the recipe says, and use the package manager one by one', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([alone(host, 'a'), alone(host, 'b')], { parallel: 1 }))
    expect(outcomes(await host.converge({ shell }))).toEqual({ a: 'ran', b: 'ran' })
    const packages = { packages: true }
    await host.publish(
      testRecipe([alone(host, 'p', packages), alone(host, 'q', packages), meets(host, 'c', 'p'), host.step('last')], {
        parallel: 4,
      }),
    )
    expect(outcomes(await host.converge({ shell }))).toEqual({ p: 'ran', q: 'ran', c: 'ran', last: 'ran' })
  })

  it('tell each its own CPU time, output and failure', async () => {
    await using host = await AgentHost.create()
    const burn = 'echo burning; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'
    await host.publish(
      testRecipe(
        [
          host.step('burns', burn, { needs: [] }),
          host.step('idles', 'echo idling; /bin/sleep 0.3; exit 4', { needs: [] }),
          host.step('blocked', '', { needs: ['idles'] }),
          host.step('fine', '', { needs: ['burns'] }),
        ],
        { parallel: 4 },
      ),
    )
    const report = await host.converge({ shell, code: 1 })
    expect(outcomes(report)).toEqual({ burns: 'ran', idles: 'failed', blocked: 'blocked', fine: 'ran' })
    const [burns, idles] = report.steps
    expect(burns!.cpu).toBeGreaterThan(idles!.cpu)
    expect(idles!.cpu).toBeLessThan(0.15)
    expect(idles).toMatchObject({ exit: 4, output: 'idling\n' })
    expect(host.text('state/log/burns.log')).toBe('burning\n')
  })

  it('end the converge by themselves when what watches them is killed', async () => {
    await using host = await AgentHost.create()
    const hang = (name: string) => host.step(name, `touch ${host.path('out', name)}; exec /bin/sleep 60`, { needs: [] })
    await host.publish(testRecipe([hang('a'), hang('b')], { parallel: 2 }))
    const agent = host.start(['run'], { shell })
    const ended = collect(agent)
    await until('both run', () => host.trace().length === 2)
    const watchers = childrenOf(agent.pid!)
    const steps = runningSteps(agent)
    for (const pid of watchers) process.kill(pid, 'SIGKILL')
    for (const pid of steps) process.kill(pid, 'SIGKILL')
    expect((await ended).code).toBe(1)
    expect(host.report().steps.map((step) => [step.outcome, step.exit])).toEqual([
      ['failed', 137],
      ['failed', 137],
    ])
  })

  it('are all stopped by SIGTERM', async () => {
    await using host = await AgentHost.create()
    const hang = (name: string) => host.step(name, 'exec /bin/sleep 60', { needs: [] })
    await host.publish(testRecipe([hang('a'), hang('b')], { parallel: 2 }))
    const agent = host.start(['run'], { shell })
    const ended = collect(agent)
    await until('both run', () => host.trace().length === 2)
    const steps = runningSteps(agent)
    expect(steps.length).toBe(2)
    agent.kill('SIGTERM')
    expect((await ended).code).toBe(130)
    for (const pid of steps) await until('the step ends', () => !isRunning(pid))
  })
})

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('a step that asks for a reboot', () => {
  const recipe = (host: AgentHost) =>
    testRecipe([host.step('kernel', '', { reboot: true }), host.step('module'), host.step('app')])

  it.each(names)('gets it once, with its stamp on the disk, and the rest follows (%s)', async (shell) => {
    await using host = await AgentHost.create()
    await host.fake('reboot', `ls ${host.path('state/stamps')} >>${host.path('out/reboots')}`)
    const { steps } = recipe(host)
    await host.publish(recipe(host))
    expect((await host.run(['run', '--trigger', 'boot'], { shell })).code).toBe(0)
    expect(host.text('out/reboots')).toBe(`${steps[0]!.digest}\n`)
    expect(host.report()).toMatchObject({ reboot: 'kernel', outcome: 'ok' })
    expect(outcomes(host.report())).toEqual({ kernel: 'ran', module: 'excluded', app: 'excluded' })
    expect(host.text('console')).toMatch(/^parbake: rebooting recipe=web .* step=kernel$/m)
    expect(host.text('console')).not.toMatch(/^parbake: ready /m)
    await host.reboot()
    expect((await host.run(['run', '--trigger', 'boot'], { shell })).code).toBe(0)
    expect(host.trace()).toEqual(['kernel', 'module', 'app'])
    expect(host.report().reboot).toBe('')
    expect(host.text('out/reboots').split('\n').length).toBe(2)
    expect(host.text('console')).toMatch(/^parbake: ready /m)
  })

  it('gets none where it fails, where its stamp cannot be written, or in a bake', async () => {
    await using host = await AgentHost.create()
    await host.fake('reboot', `touch ${host.path('out/rebooted')}`)
    await host.publish(testRecipe([host.step('kernel', 'exit 1', { reboot: true })]))
    await host.converge({ code: 1 })
    await host.publish(testRecipe([host.step('kernel', `rm -rf ${host.path('state/stamps')}`, { reboot: true })]))
    await host.converge({ code: 1 })
    expect(host.report().error).toMatch(/stamp of step kernel cannot be written/)
    await host.publish(recipe(host))
    expect((await host.run(['bake', '--steps', 'kernel,module,app'])).code).toBe(0)
    expect(host.trace().slice(-3)).toEqual(['kernel', 'module', 'app'])
    expect(host.text('out/rebooted')).toBe('')
    expect((await rm(host.path('out/rebooted')).catch(() => 'never there')) as unknown).toBe('never there')
  })
})

describe('conditions', () => {
  const release = 'NAME="Rocky Linux"\nID="rocky"\nVERSION_ID="9.4"\nID_LIKE="rhel centos fedora"\n'
  /** A host of this kind, whose step `maybe` has the conditions. */
  async function hostWith(conditions: string, conf: Record<string, string> = {}) {
    const host = await AgentHost.create(conf)
    await writeFile(host.path('os-release'), release)
    await writeFile(host.path('cloud-id'), 'aws\n')
    const channel = await host.publish(testRecipe([host.step('maybe'), host.step('after')]))
    await host.run(['run'], { env: { PARBAKE_CONF: host.path('missing') } })
    // The bundle as the host has unpacked it, with the file that a recipe's `if` becomes.
    await host.converge()
    await rm(host.path('state/stamps'), { recursive: true })
    await host.clearTrace()
    await writeFile(host.path('state/bundles', channel.bundle, 'steps/01/if'), conditions)
    const env = { PARBAKE_OS_RELEASE: host.path('os-release'), PARBAKE_CLOUD_ID: host.path('cloud-id') }
    return { host, env }
  }

  it.each([
    ['os is rocky', true],
    ['os is debian,rocky', true],
    ['os is debian,rock', false],
    ['os not debian,ubuntu', true],
    ['os not rocky', false],
    ['os-like is rhel', true],
    ['os-like not centos', false],
    ['os-version at-least 9', true],
    ['os-version at-least 9.4', true],
    ['os-version at-least 9.10', false],
    ['os-version below 10', true],
    ['os-version below 9.4', false],
    ['platform is aws', true],
    ['platform is gcp', false],
    ['tag is canary', true],
    ['tag is web,db', true],
    ['tag is edge', false],
    ['tag not edge', true],
    ['os is rocky\nplatform is gcp', false],
    ['arch not no-such', true],
  ])('%j holds: %s', async (line, holds) => {
    const { host, env } = await hostWith(`${line}\n`, { tags: 'canary,web' })
    await using _ = host
    const report = await host.converge({ env })
    expect(outcomes(report)).toEqual({ maybe: holds ? 'ran' : 'not-applicable', after: 'ran' })
  })

  it.each(names)(
    'that do not hold leave no stamp, satisfy what needs the step, and are no reason to converge (%s)',
    async (shell) => {
      const { host, env } = await hostWith('os is debian\n')
      await using _ = host
      await host.converge({ shell, env })
      expect(host.trace()).toEqual(['after'])
      await rm(host.path('state/report.json'))
      expect((await host.run(['run', '--trigger', 'cron'], { shell, env })).code).toBe(0)
      expect(host.text('state/report.json')).toBe('')
      await writeFile(host.path('os-release'), 'ID=debian\nVERSION_ID="12"\n')
      await host.run(['run', '--trigger', 'cron'], { shell, env })
      expect(outcomes(host.report())).toEqual({ maybe: 'ran', after: 'stamped' })
    },
  )

  it.each(['moon is full', 'os like rocky', 'os'])('that this agent does not know fail the step: %s', async (line) => {
    const { host, env } = await hostWith(`${line}\n`)
    await using _ = host
    const report = await host.converge({ env, code: 1 })
    expect(outcomes(report)).toEqual({ maybe: 'failed', after: 'blocked' })
    expect(report.error).toMatch(/condition that this agent does not know/)
  })
})
