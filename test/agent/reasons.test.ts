import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { renderStep } from '../../src/recipe/render.ts'
import type { StepReport } from '../../src/profile/report.ts'
import { parseYaml } from '../../src/util/yaml.ts'
import { AgentHost, shells, testRecipe, until, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

describe.each(names)('why a step is slow, under %s', (shell) => {
  it('tells what retries took from the time of the last try', async () => {
    await using host = await AgentHost.create()
    const tries = host.path('out/tries')
    await host.publish(
      testRecipe([
        host.step('flaky', `echo >>${tries}; sleep 0.3; test $(wc -l <${tries}) -ge 3`, { retries: 3 }),
        host.step('steady', 'sleep 0.2'),
      ]),
    )
    const [flaky, steady] = (await host.converge({ shell })).steps
    expect(flaky?.retrySeconds).toBeGreaterThanOrEqual(0.58)
    expect(flaky?.wall).toBeGreaterThanOrEqual((flaky?.retrySeconds ?? 0) + 0.28)
    expect(steady?.retrySeconds).toBe(0)
  })

  it('counts the seconds for which apt waited for a lock', async () => {
    await using host = await AgentHost.create()
    const says =
      'Waiting for cache lock: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1 (apt)...'
    await host.publish(
      testRecipe([
        host.step('waits', `for i in 1 2 3 4; do echo '${says}'; done; echo ' ${says}'`),
        host.step('lists', `echo 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt)'`),
      ]),
    )
    const { steps } = await host.converge({ shell })
    expect(steps.map((step) => step.lockSeconds)).toEqual([4, undefined])
  })
})

it('counts the pauses of a packages step for the lock of the package lists', async () => {
  const problems: never[] = []
  const raw = { name: 'apt', type: 'packages', install: ['nginx'] }
  const document = parseYaml('steps: []\n', 'recipe.yaml')
  const step = await renderStep({ folder: '/nowhere', document, params: {}, problems }, raw, 0)
  await using host = await AgentHost.create()
  const lock = 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1 (apt)'
  const fails = `apt-get() { n=$((n + 1)); [ $n -gt 2 ] || { echo '${lock}'; return 100; }; }`
  const script = step?.rendered.script.replace('#!/bin/sh\n', `n=0\nsleep() { :; }\n${fails}\n`) ?? ''
  await host.publish(testRecipe([{ name: 'apt', interpreter: '#!/bin/bash', script }]))
  const report = await host.converge()
  // The third try came through, after two pauses of 5 seconds.
  expect(report.steps[0]).toMatchObject({ outcome: 'ran', lockSeconds: 10 })
})

const slow = [
  'helper() {',
  '  sleep 0.25',
  '}',
  'helper',
  'PASSWORD=hunter2 sleep 0.2',
  'for i in 1 2 3; do',
  '  sleep 0.12 # three times',
  'done',
  'echo to-stdout; echo to-stderr >&2',
  'true "$SECRET" SECRETLITERAL12345678901234567890; sleep 0.15',
].join('\n')

describe.each([
  ['#!/bin/dash', 1],
  ['#!/bin/sh -e', 1],
  ['#!/bin/bash -eu', 1],
  ['#!/usr/bin/env bash', 1],
  ['#!/bin/busybox sh', 1],
  ['#! /usr/bin/mksh', 1],
])('the trace of a step with %s', (interpreter) => {
  async function traced(
    conf: Record<string, string>,
    trace: boolean,
  ): Promise<{ step: StepReport; all: string; log: string }> {
    await using host = await AgentHost.create()
    await host.configure(conf)
    await host.publish(testRecipe([{ name: 'slow', interpreter, script: slow, trace, env: { SECRET: 'do-not-tell' } }]))
    const report = await host.converge()
    expect(existsSync(host.path('state/log/slow.trace'))).toBe(false)
    return { step: report.steps[0]!, all: JSON.stringify(report), log: host.text('state/log/slow.log') }
  }

  it('names the lines that took longest, without secrets, and leaves the step as it is', async () => {
    const { step, all, log } = await traced({}, true)
    expect(step.outcome).toBe('ran')
    expect(log.split('\n').toSorted().join('\n').trim()).toBe('to-stderr\nto-stdout')
    const lines = new Map(step.trace?.map(({ line, ...rest }) => [line, rest]))
    expect(step.trace?.[0]?.line).toBe(8)
    expect([...lines.keys()].toSorted((a, b) => a - b).filter((line) => line !== 7)).toEqual([3, 6, 8, 11])
    expect(lines.get(8)).toMatchObject({ command: 'sleep 0.12 # three times' })
    expect(lines.get(8)?.seconds).toBeGreaterThan(0.3)
    expect(lines.get(3)).toMatchObject({ command: 'sleep 0.25' })
    expect(lines.get(6)).toMatchObject({ command: 'PASSWORD= ***' })
    expect(lines.get(11)).toMatchObject({ command: 'true ***' })
    expect(all).not.toMatch(/hunter2|do-not-tell|SECRETLITERAL/)
  })

  it('is made for a launch that asks for it, and not otherwise', async () => {
    expect((await traced({ trace: 'yes' }, false)).step.trace).toHaveLength(4)
    expect((await traced({}, false)).step.trace).toBeUndefined()
  })
})

describe('the trace of a step', () => {
  it.each(['#!/bin/sh', '#!/bin/bash', '#!/bin/busybox sh'])(
    'changes neither environment nor umask with %s',
    async (interpreter) => {
      await using host = await AgentHost.create()
      const show = (name: string) =>
        `{ env; umask; pwd; } | grep -v -e ^_= -e ^OLDPWD= | LC_ALL=C sort >${host.path('out', name)}`
      await host.publish(
        testRecipe([
          { name: 'plain', interpreter, script: show('plain') },
          { name: 'traced', interpreter, script: show('traced'), trace: true },
        ]),
      )
      await host.converge()
      expect(host.text('out/plain')).toContain('LANG=C.UTF-8')
      expect(host.text('out/traced').replaceAll('steps/02', 'steps/01')).toBe(host.text('out/plain'))
    },
  )

  it('passes on the exit status, $0 and a failure’s output', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('fails', 'echo "I am $0" >&2; sleep 0.1; exit 9', { trace: true })]))
    const [step] = (await host.converge({ code: 1 })).steps
    expect(step).toMatchObject({ outcome: 'failed', exit: 9, output: 'I am ../run\n' })
    expect(step?.trace?.[0]?.line).toBe(3)
  })

  it('leaves alone what is no shell script', async () => {
    await using host = await AgentHost.create()
    const script = `open("${host.path('out/python')}", "w").write("ran")`
    await host.publish(testRecipe([{ name: 'py', interpreter: '#!/usr/bin/env python3', script, trace: true }]))
    const [step] = (await host.converge()).steps
    expect(host.text('out/python')).toBe('ran')
    expect(step?.trace).toBeUndefined()
  })

  it('ends with the step even where a daemon of the step goes on', async () => {
    await using host = await AgentHost.create()
    const script = `/bin/sleep 20 & echo $! >${host.path('out/pid')}\nsleep 0.1`
    await host.publish(testRecipe([host.step('daemon', script, { trace: true })]))
    const [step] = (await host.converge()).steps
    expect(step?.wall).toBeLessThan(10)
    expect(step?.trace?.length).toBeGreaterThan(0)
    const pid = Number(host.text('out/pid'))
    process.kill(pid)
    await until(
      'the daemon ends',
      () => !existsSync(`/proc/${pid}/cmdline`) || readFileSync(`/proc/${pid}/cmdline`, 'utf8') === '',
    )
  })

  it('is not stopped by a bundle of a time before traces', async () => {
    await using host = await AgentHost.create()
    await host.configure({ trace: 'yes' })
    const { bundle } = await host.publish(testRecipe([host.step('one')]))
    await host.converge()
    await writeFile(host.path('state/bundles', bundle, 'measure'), 'exit 1\n')
    await host.publish(testRecipe([host.step('one'), host.step('two')]))
    expect((await host.converge()).steps.map((step) => step.outcome)).toEqual(['stamped', 'ran'])
  })
})

describe('where a host is', () => {
  const write = async (host: AgentHost, data: object) =>
    writeFile(host.path('instance-data.json'), JSON.stringify(data, undefined, 1))

  it.each([
    [
      'EC2',
      { ds: { meta_data: { 'instance-type': 't3.micro', region: 'wrong' } }, v1: { region: 'eu-west-1' } },
      { instanceType: 't3.micro', region: 'eu-west-1' },
    ],
    [
      'Azure',
      { ds: { meta_data: { imds: { compute: { vmSize: 'Standard_B1s' } } } }, v1: { region: 'westus2' } },
      { instanceType: 'Standard_B1s', region: 'westus2' },
    ],
    ['a cloud that says nothing', { ds: {}, v1: { region: null } }, {}],
    ['metadata that is no name', { ds: { meta_data: { 'instance-type': 'a","b":"c' } }, v1: { region: 'x y' } }, {}],
    ['user-data that looks like it', { merged_cfg: { x: { region: 'no', 'instance-type': 'no' } }, v1: {} }, {}],
  ])('is read from what cloud-init knows: %s', async (_, data, expected) => {
    await using host = await AgentHost.create()
    await write(host, data)
    await host.publish(testRecipe([host.step('one')]))
    const { instanceType, region } = await host.converge()
    expect({ ...(instanceType && { instanceType }), ...(region && { region }) }).toEqual(expected)
  })
})
