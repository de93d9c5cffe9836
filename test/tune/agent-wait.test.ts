import { appendFile, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { AgentHost, shells, testRecipe, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

/** cloud-init's status.json as 22.4 writes it: one value to a line, keys sorted. */
function status(config: string, final = 'null'): string {
  const stage = (name: string, finished: string) =>
    `  "${name}": {\n   "errors": [],\n   "finished": ${finished},\n   "start": 1.5\n  },\n`
  return `{\n "v1": {\n  "datasource": "None",\n${stage('init', '12.3')}${stage('init-local', '4.5')}${stage('modules-config', config)}${stage('modules-final', final)}  "stage": "x"\n }\n}\n`
}

/** Starts a boot converge whose waits (`sleep`) are counted, and end by the config stage's end at the third. */
async function converge(shell: ShellName, first: string | undefined, trigger = 'boot') {
  const host = await AgentHost.create()
  const file = host.path('status.json')
  if (first !== undefined) await writeFile(file, first)
  await writeFile(host.path('after.json'), status('20.1'))
  await writeFile(host.path('out/waits'), '')
  await host.fake(
    'sleep',
    `[ "$1" != 1.0 ] || exec /bin/sleep 1; echo x >>${host.path('out/waits')}; [ $(wc -l <${host.path('out/waits')}) -lt 3 ] || cp ${host.path('after.json')} ${file}`,
  )
  await host.publish(testRecipe([host.step('one')]))
  const result = await host.run(['run', '--trigger', trigger], { shell, env: { PARBAKE_CLOUD_STATUS: file } })
  return { host, result, waits: host.text('out/waits').length / 2 }
}

describe('a converge that the unit starts', () => {
  it.each(names)("runs steps when cloud-init's config stage is over, not before (%s)", async (shell) => {
    const { host, result, waits } = await converge(shell, status('null'))
    await using _ = host
    expect(result.code).toBe(0)
    expect(waits).toBe(3)
    expect(host.trace()).toEqual(['one'])
  })

  it.each([
    ['the stage is over', status('20.1'), 'boot'],
    ['there is no cloud-init', undefined, 'boot'],
    ['a person starts it', status('null'), 'manual'],
  ] as const)('does not wait where %s', async (_, first, trigger) => {
    const { host, result, waits } = await converge('dash', first, trigger)
    await using _host = host
    expect(result.code).toBe(0)
    expect(waits).toBe(0)
    expect(host.trace()).toEqual(['one'])
  })

  it('takes the end of another stage for nothing', async () => {
    const { host, waits } = await converge('dash', status('null', '30.2'))
    await using _ = host
    expect(waits).toBe(3)
  })

  it('does not wait where the image says that its steps need not', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    await host.run(['run', '--trigger', 'manual'])
    await appendFile(host.path('state/steps-early'), '')
    await writeFile(host.path('status.json'), status('null'))
    await host.fake('sleep', 'exit 1')
    await host.reboot()
    await host.publish(testRecipe([host.step('one'), host.step('two')]))
    const env = { PARBAKE_CLOUD_STATUS: host.path('status.json') }
    expect((await host.run(['run', '--trigger', 'boot'], { env })).code).toBe(0)
    expect(host.trace()).toEqual(['one', 'two'])
  })
})
