import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { run } from '../../src/system/run.ts'
import { AgentHost, childrenOf, runningStep, shells, testRecipe, until, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

describe.each(names)('pause under %s', (shell) => {
  it('stops what is scheduled until it is resumed, and says so', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    expect((await host.run(['pause', 'disk', 'is being moved'], { shell })).stderr).toBe(
      'parbake: paused: disk is being moved\n',
    )
    for (const trigger of ['cron', 'boot']) {
      expect((await host.run(['run', '--trigger', trigger], { shell })).code).toBe(0)
    }
    expect(host.trace()).toEqual([])
    expect(host.text('console')).toBe('parbake: paused, so nothing runs: disk is being moved\n')
    // Who runs it by hand means it.
    const manual = await host.run(['run'], { shell })
    expect(manual.stderr).toMatch(/^parbake: scheduled converges are paused: disk is being moved$/m)
    expect(host.trace()).toEqual(['one'])
    expect((await host.run(['status'], { shell })).stdout).toMatch(/^paused disk is being moved$/m)
    expect((await host.run(['resume'], { shell })).code).toBe(0)
    await host.publish(testRecipe([host.step('two')]))
    expect((await host.run(['run', '--trigger', 'cron'], { shell })).code).toBe(0)
    expect(host.trace()).toEqual(['one', 'two'])
    expect((await host.run(['status'], { shell })).stdout).not.toMatch(/paused/)
  })
})

describe('pause', () => {
  it('--for ends by itself', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    const before = Math.floor(Date.now() / 1000)
    expect((await host.run(['pause', '--for', '2h', 'a look'])).code).toBe(0)
    const until = Number(/^(\d+) a look$/m.exec(host.text('state/paused'))?.[1])
    expect(until).toBeGreaterThanOrEqual(before + 7200)
    expect(until).toBeLessThan(before + 7300)
    await host.run(['run', '--trigger', 'cron'])
    expect(host.trace()).toEqual([])
    await host.fake('date', `[ "$*" = +%s ] && echo ${until} || PATH=/usr/bin:/bin exec date "$@"`)
    await host.run(['run', '--trigger', 'cron'])
    expect(host.trace()).toEqual(['one'])
  })

  it.each([['--for'], ['--for', 'soon'], ['--for', '0h'], ['--for', '-1'], ['--for', '1;id']])(
    'does not take %s %s',
    async (...args) => {
      await using host = await AgentHost.create()
      expect((await host.run(['pause', ...args])).code).toBe(2)
      expect(existsSync(host.path('state/paused'))).toBe(false)
    },
  )
})

describe('status', () => {
  it('is for anyone, and nothing else of the state is', async () => {
    await using host = await AgentHost.create({ access_key: 'x', secret_key: 'hidden' })
    await host.publish(testRecipe([host.step('one', 'echo hidden')]))
    await host.converge()
    await host.run(['pause', 'why'])
    await chmod(host.root, 0o755)
    const as = (...args: string[]) =>
      run('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...args], {
        env: host.env({ PARBAKE_SELF: host.agentPath }),
        allowFailure: true,
      })
    await chmod(host.path('sbin'), 0o755)
    const status = await as('sh', host.agentPath, 'status')
    expect(status.stdout).toMatch(/^ready recipe=web /)
    expect(status.stdout).toMatch(/^paused why$/m)
    for (const file of ['report.json', 'log/one.log', 'channel.web.stable']) {
      expect((await as('cat', host.path('state', file))).exitCode).not.toBe(0)
    }
    expect((await as('sh', host.agentPath, 'pause')).exitCode).toBe(1)
    expect((await as('sh', host.agentPath, 'log')).exitCode).toBe(1)
    expect(statSync(host.path('state')).mode & 0o777).toBe(0o711)
  })
})

describe('log', () => {
  it('shows the agent’s own and each step’s', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one', 'echo said')]))
    await host.converge()
    expect((await host.run(['log', 'one'])).stdout).toBe('said\n')
    expect((await host.run(['log'])).stdout).toMatch(/^parbake: step one done in /m)
    expect((await host.run(['log', 'two'])).code).toBe(1)
    for (const args of [['../report.json'], ['one', 'two']]) expect((await host.run(['log', ...args])).code).toBe(2)
  })

  it('is bounded', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    await writeFile(host.path('agent.log'), 'x'.repeat(1_048_577))
    await host.converge()
    expect(statSync(host.path('agent.log.1')).size).toBeGreaterThan(1_048_576)
    expect(statSync(host.path('agent.log')).size).toBeLessThan(1000)
  })
})

describe.each(names)('the output of a step under %s', (shell) => {
  const mebibyte = 1_048_576
  const shapeOf = (log: string) => log.replaceAll(/x+/g, 'x').replaceAll('\n', '|')

  it('is bounded when it has ended: beginning and end stay, and it says so', async () => {
    await using host = await AgentHost.create()
    const script = 'echo begins; head -c 20000000 /dev/zero | tr "\\0" x; echo; echo "no room" >&2; exit 3'
    await host.publish(testRecipe([host.step('loud', script)]))
    const report = await host.converge({ shell, code: 1 })
    expect(shapeOf(host.text('state/log/loud.log'))).toBe('begins|x|[parbake: output left out here]|x|no room|')
    expect(statSync(host.path('state/log/loud.log')).size).toBeLessThan(2 * mebibyte + 100)
    expect(report.steps[0]?.output).toMatch(/x\nno room\n$/)
    expect(host.text('agent.log').length).toBeLessThan(10_000)
  })

  it('is bounded while it is printed, and goes on behind what was cut', async () => {
    await using host = await AgentHost.create()
    const log = host.path('state/log/loud.log')
    // Waits until it was cut, three times.
    const script = `echo begins
      for round in 1 2 3; do
        head -c 6000000 /dev/zero | tr '\\0' x
        while [ "$(wc -c <${log})" -gt 4194304 ]; do /bin/sleep 0.1; done
        /bin/sleep 0.5
      done
      echo ends; wc -c <${log} >${host.path('out/size')}`
    await host.publish(testRecipe([host.step('loud', script), host.step('quiet', 'echo said')]))
    await host.converge({ shell })
    expect(Number(host.text('out/size'))).toBeLessThan(3 * mebibyte)
    expect(shapeOf(host.text('state/log/loud.log'))).toBe('begins|x|[parbake: output left out here]|xends|')
    expect(host.text('state/log/quiet.log')).toBe('said\n')
  })
})

// What stays would hold its disk: a system in a folder could not be unmounted.
it.each(names)('under %s nothing is left running when it has ended', async (shell) => {
  await using host = await AgentHost.create()
  await host.publish(testRecipe([host.step('one')]))
  const own = () =>
    readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid))
      .filter((pid) => environmentOf(pid).includes(host.root))
  expect((await host.run(['run'], { shell })).code).toBe(0)
  // A second is what the one that looks after the logs sleeps at a time.
  const late = Date.now() + 300
  while (own().length > 0 && Date.now() < late) await new Promise((done) => setTimeout(done, 10))
  expect(own()).toEqual([])
})

/** Empty for one that has just ended. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}

it('what bounds the output of steps ends with an agent that was killed', async () => {
  await using host = await AgentHost.create()
  await host.publish(testRecipe([host.step('slow', `: >${host.path('out/begun')}; /bin/sleep 30`)]))
  const agent = host.start(['run'])
  await until('the step begins', () => existsSync(host.path('out/begun')))
  const own = childrenOf(agent.pid!)
  expect(own).toHaveLength(2)
  process.kill(-runningStep(agent), 'SIGKILL')
  agent.kill('SIGKILL')
  await until('all have ended', () => own.every((pid) => !existsSync(`/proc/${pid}`)))
})

describe.each(names)('diff under %s', (shell) => {
  it('says what the next converge would do, and changes nothing', async () => {
    await using host = await AgentHost.create()
    const recipe = (word: string, more: 'old' | 'new') =>
      testRecipe([
        host.step('same', '', { needs: [] }),
        host.step('changes', `: ${word}`, { needs: [] }),
        host.step('each', '', { needs: [], when: 'always' }),
        host.step(more, '', { needs: [] }),
      ])
    const first = recipe('one', 'old')
    const one = await host.publish(first)
    expect((await host.run(['diff'], { shell })).stdout).toMatch(/^step same new\n(.*\n)+due 4\n$/m)
    await host.converge({ shell })
    const two = await host.publish(recipe('two', 'new'))
    await host.clearTrace()
    const before = await snapshot(host)
    const result = await host.run(['diff'], { shell })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toBe(
      [
        'channel web/stable serial=2 now=1',
        `bundle ${two.bundle} now=${one.bundle}`,
        `step changes changed from ${first.steps[1]!.digest}`,
        'step each always',
        'step new new',
        'step old removed',
        'due 3',
        '',
      ].join('\n'),
    )
    expect(await snapshot(host)).toEqual(before)
    expect(host.trace()).toEqual([])
    await host.converge({ shell })
    expect((await host.run(['diff'], { shell })).stdout).toMatch(/^step each always\ndue 1$/m)
  })
})

it('diff says what is wrong with the channel', async () => {
  await using host = await AgentHost.create()
  await host.put('channels/web/stable', '<html>')
  expect(await host.run(['diff'])).toMatchObject({
    code: 1,
    stderr: 'parbake: what the store sent is no channel file of version 1\n',
  })
})

/** Names, sizes and times of all files of the state. */
async function snapshot(host: AgentHost): Promise<string> {
  return (await run('find', [host.path('state'), '-printf', '%p %s %T@ %m\n'])).stdout
}

describe('metrics', () => {
  it.each(names)('are written for node_exporter, whole (%s)', async (shell) => {
    await using host = await AgentHost.create()
    await mkdir(host.path('collector'))
    const env = { PARBAKE_COLLECTOR: host.path('collector') }
    await host.publish(
      testRecipe([host.step('good', '', { needs: [] }), host.step('bad', 'exit 1', { needs: [] }), host.step('after')]),
      { content: { expires: 2_000_000_000 } },
    )
    await host.converge({ shell, env, code: 1 })
    const text = host.text('collector/parbake.prom')
    const value = (metric: string) => Number(new RegExp(`^parbake_${metric} ([0-9.]+)$`, 'm').exec(text)?.[1])
    const labels = 'recipe="web",channel="stable"'
    expect(value(`converge_success{${labels}}`)).toBe(0)
    expect(value(`steps{${labels},outcome="ran"}`)).toBe(1)
    expect(value(`steps{${labels},outcome="failed"}`)).toBe(1)
    expect(value(`steps{${labels},outcome="blocked"}`)).toBe(1)
    expect(value(`channel_serial{${labels}}`)).toBe(1)
    expect(value(`channel_expiry_timestamp_seconds{${labels}}`)).toBe(2_000_000_000)
    expect(value(`converge_timestamp_seconds{${labels}}`)).toBeGreaterThan(1_700_000_000)
    for (const line of text.trim().split('\n')) {
      expect(line).toMatch(/^# (HELP|TYPE) parbake_\w+ .+$|^parbake_\w+\{[^{}]+\} [0-9.]+$/)
    }
    expect(statSync(host.path('collector/parbake.prom')).mode & 0o777).toBe(0o644)
    expect(readdirSync(host.path('collector')).toSorted()).toEqual(['parbake-check.prom', 'parbake.prom'])
  })

  it('tell that a converge without work has looked, and go with the agent', async () => {
    await using host = await AgentHost.create()
    await host.configure({ metrics: host.path('out/m.prom') })
    await host.publish(testRecipe([host.step('one')]))
    await host.converge()
    await rm(host.path('out/m-check.prom'))
    expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
    expect(host.text('out/m-check.prom')).toMatch(/^parbake_check_timestamp_seconds\{.*\} \d+$/m)
    await host.put('channels/web/stable', '<html>')
    await rm(host.path('out/m-check.prom'))
    await host.run(['run'])
    expect(host.text('out/m-check.prom')).toBe('')
    expect(host.text('out/m.prom')).toMatch(/^parbake_converge_success\{.*\} 0$/m)
    await host.run(['uninstall'])
    expect(readdirSync(host.path('out'))).toEqual(['trace'])
  })
})
