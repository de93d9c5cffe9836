import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { loadAgent, loadStage0 } from '../../src/bundle/agent.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { AgentHost, shells, testRecipe } from '../support/agent.ts'
import { faultStore } from '../support/fault-store.ts'

const path = new URL('../../bootstrap/agent.sh', import.meta.url).pathname
const source = readFileSync(path, 'utf8')

/** The functions of the script by name. */
function functions(): Map<string, string> {
  const found = new Map<string, string>()
  for (const match of source.matchAll(/^([a-z_0-9]+)\(\) \{([^]*?)^\}$/gm)) found.set(match[1]!, match[2]!)
  return found
}

describe('the agent’s source', () => {
  it('passes shellcheck', async () => {
    const result = await run('shellcheck', ['-s', 'dash', path], { allowFailure: true })
    expect(result.stdout).toBe('')
  })

  it.each(Object.entries(shells))('parses under %s', async (_, [command, ...args]) => {
    await run(command, [...args, '-n', path])
  })

  it('leaves user-data room beside stage-0, and is fetched in one piece', () => {
    for (const fetches of ['own', 'client'] as const) {
      expect(gzipSync(loadStage0(fetches), { level: 9 }).length).toBeLessThan(10 * 1024)
    }
    // What stage-0 and older agents are ready to take.
    expect(loadAgent().text.length).toBeLessThan(262_144)
  })

  it.each(
    Object.entries(shells).flatMap(([name, argv]) =>
      (['own', 'client'] as const).map((fetches) => ({ name, argv, fetches })),
    ),
  )('has a stage-0 that parses under $name and calls nothing but its own ($fetches)', async ({ argv, fetches }) => {
    await using dir = await tempDir('stage0')
    const file = join(dir.path, 'stage0')
    const text = loadStage0(fetches)
    await writeFile(file, text)
    await run(argv[0], [...argv.slice(1), '-n', file])
    const shell = text.replace(/python3 -c '[^']*'/g, '')
    const missing = [...functions().keys()].filter(
      (name) => !text.includes(`\n${name}() {`) && new RegExp(`(^|[;&|!({] ?|then |do )${name}( |$)`, 'm').test(shell),
    )
    expect(missing).toEqual([])
  })

  it('gives the variables of each function a prefix of its own', () => {
    const owners = new Map<string, string>()
    for (const [name, body] of functions()) {
      // Programs in other languages stand in single quotes that end a line.
      const shell = body.replace(/python3 -c '[^']*'/g, '')
      for (const match of shell.matchAll(/(?:^|[ ;(])([a-z]{2})_[a-z_]+=|read -r ((?:[a-z_A-Z]+ ?)+)/gm)) {
        const prefixes = match[1] ? [match[1]] : [...match[2]!.matchAll(/\b([a-z]{2})_/g)].map((word) => word[1]!)
        for (const prefix of prefixes) {
          expect(owners.get(prefix) ?? name, `prefix ${prefix}_ in ${name}`).toBe(name)
          owners.set(prefix, name)
        }
      }
    }
    expect(owners.size).toBeGreaterThan(15)
  })
})

it('forks next to nothing where nothing is new', async () => {
  await using host = await AgentHost.create()
  await host.publish(testRecipe([host.step('one')]))
  await using store = await faultStore(host.store)
  await host.configure({ store: store.url })
  await host.converge()
  store.requests.length = 0
  for (const tool of [
    'curl',
    'flock',
    'rm',
    'mkdir',
    'mv',
    'cat',
    'cp',
    'date',
    'openssl',
    'sha256sum',
    'tr',
    'sed',
    'df',
    'sh',
    'awk',
    'tail',
    'dmesg',
    'systemctl',
  ]) {
    await host.fake(tool, `echo ${tool} >>${host.path('started')}\nPATH=/usr/bin:/bin exec ${tool} "$@"`)
  }
  expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
  expect(store.requests).toEqual(['GET channels/web/stable'])
  expect(host.text('started').split('\n').toSorted()).toEqual(['', 'curl', 'flock'])
})
