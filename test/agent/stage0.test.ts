import { existsSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import { keys } from '../../src/store/keys.ts'
import { AgentHost, shells, signingKey, testRecipe, type ShellName } from '../support/agent.ts'
import { faultStore } from '../support/fault-store.ts'

const program = 'stage0'
const names = Object.keys(shells) as ShellName[]

/** A fresh machine with user-data, and a published recipe of one step. */
async function freshHost() {
  const host = await AgentHost.create()
  await host.beforeAgent()
  await host.fake('cron', '')
  const channel = await host.publish(testRecipe([host.step('one')]))
  return { host, channel }
}

describe('stage-0', () => {
  it.each(names)('fetches the agent, which goes on with the channel that is here already (%s)', async (shell) => {
    const { host, channel } = await freshHost()
    await using _ = host
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    expect(await host.run(['boot'], { program, shell })).toMatchObject({ code: 0, stdout: '', stderr: '' })
    expect(host.text('sbin/parbake-agent')).toBe(loadAgent().text)
    expect(statSync(host.agentPath).mode & 0o777).toBe(0o755)
    expect(store.requests.slice(0, 3)).toEqual([
      'GET channels/web/stable',
      `GET ${keys.agent(channel.agent)}`,
      `GET ${keys.bundle('web', channel.bundle)}`,
    ])
    expect(store.requests.length).toBe(4)
    expect(host.report()).toMatchObject({ trigger: 'boot', first: true, outcome: 'ok' })
    expect(host.trace()).toEqual(['one'])
    // From here on the agent is what the schedule starts.
    expect(host.text('etc/cron.d/parbake')).toContain(`${host.agentPath} run --trigger cron`)
    expect(host.text('etc/systemd/system/parbake-boot.service')).toContain(`ExecStart=${host.agentPath} run`)
    // And the next run asks with the ETag of what stage-0 got.
    expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
    expect(store.requests.length).toBe(5)
  })

  it('gives the place to an agent that is there, with the same arguments', async () => {
    const { host } = await freshHost()
    await using _ = host
    await writeFile(host.agentPath, '#!/bin/sh\necho "agent $*"\n', { mode: 0o755 })
    expect(await host.run(['run', '--trigger', 'cron'], { program })).toMatchObject({
      code: 0,
      stdout: 'agent run --trigger cron\n',
    })
    expect(await host.run([], { program })).toMatchObject({ stdout: 'agent boot\n' })
  })

  it.each(names)('is tried again by the schedule until the store answers (%s)', async (shell) => {
    const { host } = await freshHost()
    await using _ = host
    await host.configure({ store: 'http://127.0.0.1:9/nothing' })
    expect((await host.run(['boot'], { program, shell })).code).toBe(1)
    expect(host.text('console')).toMatch(
      /^parbake: failed recipe=web run=none serial=0 .*: the store at .* answered 000/m,
    )
    expect(existsSync(host.agentPath)).toBe(false)
    expect(host.text('etc/cron.d/parbake')).toMatch(
      /^\d-59\/5 \* \* \* \* root test -x \S+stage0 && \S+stage0 run --trigger cron$/m,
    )
    expect(host.text('etc/systemd/system/parbake-boot.service')).toContain(
      `ExecStart=${host.path('lib/stage0')} run --trigger boot`,
    )
    await host.configure({})
    await host.reboot()
    expect((await host.run(['run', '--trigger', 'cron'], { program, shell })).code).toBe(0)
    expect(host.trace()).toEqual(['one'])
    expect(host.text('etc/cron.d/parbake')).toContain(`${host.agentPath} run --trigger cron`)
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/15 /m)
  })

  it.each([
    [
      'is missing',
      async (host: AgentHost, key: string) => rm(host.path('store', key)),
      /could not be had \(HTTP 404\)/,
    ],
    ['is another', async (host: AgentHost, key: string) => host.put(key, 'touch out/evil\n'), /could not be had/],
    [
      'is cut short',
      async (host: AgentHost, key: string) => host.put(key, loadAgent().text.slice(0, 9000)),
      /could not be had/,
    ],
  ])('leaves nothing where the agent %s', async (_, spoil, message) => {
    const { host, channel } = await freshHost()
    await using __ = host
    await spoil(host, keys.agent(channel.agent))
    expect((await host.run(['boot'], { program })).code).toBe(1)
    expect(host.text('console')).toMatch(message)
    expect(existsSync(host.agentPath)).toBe(false)
    expect(host.text('out/evil') + host.text('out/trace')).toBe('')
  })

  it('believes no channel that another key signed', async () => {
    const { host } = await freshHost()
    await using _ = host
    await host.publish(testRecipe([host.step('one')]), { key: signingKey() })
    expect((await host.run(['boot'], { program })).code).toBe(1)
    expect(host.text('console')).toMatch(/signed by a key that this host does not trust/)
    expect(existsSync(host.agentPath)).toBe(false)
  })

  it('that was killed anywhere is made up for by its next start', async () => {
    for (const tool of ['mkdir', 'mv', 'ln', 'openssl', 'cp', 'sha256sum', 'chmod', 'sync']) {
      const { host } = await freshHost()
      await using _ = host
      await host.fake(tool, `rm -f "$0"\nkill -KILL $PPID`)
      await host.run(['boot'], { program })
      await host.reboot()
      expect((await host.run(['run', '--trigger', 'boot'], { program })).code).toBe(0)
      expect(host.trace().includes('one')).toBe(true)
    }
  })

  it('goes with the agent when that is uninstalled', async () => {
    const { host } = await freshHost()
    await using _ = host
    await host.run(['boot'], { program })
    expect((await host.run(['uninstall'])).code).toBe(0)
    for (const gone of ['lib/stage0', 'lib', 'sbin/parbake-agent', 'etc/cron.d/parbake']) {
      expect(existsSync(host.path(gone)) ? gone : '').toBe('')
    }
  })
})
