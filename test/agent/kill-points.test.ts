import { readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import type { Recipe } from '../../src/recipe/model.ts'
import { keys } from '../../src/store/keys.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { AgentHost, childrenOf, collect, outcomes, testRecipe } from '../support/agent.ts'
import { faultStore, type FaultStore } from '../support/fault-store.ts'

const points = process.env['PARBAKE_TEST_FULL'] === '1' ? 210 : 21

const steps = ['one', 'two', 'three', 'four']

/** Every way in which a host may come to its first converge. */
const ways = ['folder', 'http, and a new agent', 'stage-0'] as const

interface Prepared extends AsyncDisposable {
  readonly host: AgentHost
  readonly recipe: Recipe
  readonly start: () => ReturnType<AgentHost['start']>
}

async function prepare(way: (typeof ways)[number]): Promise<Prepared> {
  const host = await AgentHost.create()
  await host.fake('cron', '')
  let store: FaultStore | undefined
  if (way === 'stage-0') await host.beforeAgent()
  const content: { agent?: ReturnType<typeof sha256> } = {}
  if (way.startsWith('http')) {
    store = await faultStore(host.store)
    await host.configure({ store: store.url })
    const text = `${loadAgent().text}# newer\n`
    await host.put(keys.agent(sha256(text)), text)
    content.agent = sha256(text)
  }
  const both = (name: string, needs: string[]) =>
    host.step(name, `echo ${name}-end >>${host.path('out/trace')}`, { needs })
  const recipe = testRecipe([both('one', []), both('two', []), both('three', ['one', 'two']), both('four', ['three'])])
  await host.publish(recipe, { content })
  return {
    host,
    recipe,
    start: () => (way === 'stage-0' ? host.start(['boot'], { program: 'stage0' }) : host.start(['boot'])),
    [Symbol.asyncDispose]: async () => {
      await store?.[Symbol.asyncDispose]()
      await host[Symbol.asyncDispose]()
    },
  }
}

/** What a power cut does: nothing that the agent started goes on. */
function cutPower(pid: number): void {
  let children: number[] = []
  try {
    process.kill(pid, 'SIGSTOP')
    children = childrenOf(pid)
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself meanwhile.
  }
  for (const child of children) cutPower(child)
}

/** Milliseconds that an undisturbed converge takes. */
async function undisturbed(way: (typeof ways)[number]): Promise<number> {
  await using prepared = await prepare(way)
  const begin = performance.now()
  expect((await collect(prepared.start())).code).toBe(0)
  return performance.now() - begin
}

it(
  `a converge that is killed at any of ${points} instants ends well after all`,
  async () => {
    const seen = { unfinished: 0, finished: 0, stamps: 0 }
    for (const way of ways) {
      const whole = await undisturbed(way)
      const count = points / ways.length
      for (let point = 0; point < count; point += 1) {
        await using prepared = await prepare(way)
        const { host } = prepared
        const child = prepared.start()
        const ended = collect(child)
        const timer = setTimeout(() => cutPower(child.pid!), (whole * (point + 0.5)) / count)
        const { signal } = await ended
        clearTimeout(timer)
        seen[signal === null ? 'finished' : 'unfinished'] += 1
        // Nothing counts as done that was not done to its end.
        const stamps = safeList(host.path('state/stamps'))
        const stamped = prepared.recipe.steps.filter((step) => stamps.includes(step.digest)).map((step) => step.name)
        const untrue = stamped.filter((name) => !host.trace().includes(`${name}-end`))
        seen.stamps += stamped.length
        // Half of the hosts boot again, the others go on by cron.
        if (point % 2 === 0) await host.reboot()
        const program = way === 'stage-0' ? 'stage0' : 'agent'
        const args = point % 2 === 0 ? ['boot'] : ['run', '--trigger', 'manual']
        const again = await host.run(args, { program })
        // The one after that has nothing left to do.
        const last = await host.run(['run', '--trigger', 'cron'])
        const undone = steps.filter((name) => !host.trace().includes(`${name}-end`))
        const left = Object.values(outcomes(host.report())).filter((outcome) => !['ran', 'stamped'].includes(outcome))
        const litter = readdirSync(host.path('state')).filter((name) => /^(trial|keys|channel.*)\.new$/.test(name))
        const found = { untrue, codes: [again.code, last.code], undone, left, outcome: host.report().outcome, litter }
        const where = `${way}, ${point} of ${count}`
        expect({ where, ...found }).toEqual({
          where,
          untrue: [],
          codes: [0, 0],
          undone: [],
          left: [],
          outcome: 'ok',
          litter: [],
        })
      }
    }
    console.log(
      `killed ${seen.unfinished} of ${points} converges in the middle, with ${seen.stamps} steps done; all ended well`,
    )
    expect(seen.unfinished).toBeGreaterThan(points / 3)
  },
  points * 6000,
)

function safeList(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
