import { sign } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { signChannel, type BundleChannel, type SigningKey } from '../../src/bundle/channel.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import { keys } from '../../src/store/keys.ts'
import { run } from '../../src/system/run.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { AgentHost, signingKey, testRecipe } from '../support/agent.ts'
import { faultStore } from '../support/fault-store.ts'

/**
 * A host that has converged once, and an attacker who may write to the store, or even, where the name says `signed`, got the
 * right key to sign what no publisher would write. Whatever is run writes the canary.
 */
class Attack {
  readonly stranger = signingKey()
  readonly host: AgentHost
  readonly good: BundleChannel
  readonly goodText: string

  private constructor(host: AgentHost, good: BundleChannel, goodText: string) {
    this.host = host
    this.good = good
    this.goodText = goodText
  }

  static async create(): Promise<Attack> {
    const host = await AgentHost.create()
    const good = await host.publish(testRecipe([host.step('good')]), { content: { serial: 5 } })
    const text = host.text('store/channels/web/stable')
    await host.converge()
    return new Attack(host, good, text)
  }

  get command(): string {
    return `touch ${this.host.path('canary')}`
  }

  /** Bytes of a bundle whose only step writes the canary. */
  async bundle(): Promise<Buffer> {
    return (await packBundle(testRecipe([{ name: 'evil', script: this.command }]))).bytes
  }

  async offer(text: string): Promise<void> {
    await this.host.put('channels/web/stable', text)
  }

  /** The text of a channel that names an evil bundle, which is in the store. */
  async channel(content: Partial<BundleChannel> = {}, key: SigningKey = this.stranger): Promise<string> {
    const bytes = await this.bundle()
    await this.host.put(keys.bundle('web', sha256(bytes)), bytes)
    const all = { ...this.good, serial: 6, bundle: sha256(bytes), bundleBytes: bytes.length, ...content }
    return signChannel(all, key)
  }

  /** Lines signed with the right key, whatever they are. */
  signed(lines: string): string {
    const message = `${lines}key ${this.host.key.publicKey}\n`
    return `${message}sig ${sign(null, Buffer.from(message), this.host.key.privateKey).toString('base64')}\nsshsig x\n`
  }

  /** The good channel's lines down to its key, with changes. */
  lines(change: (text: string) => string = (text) => text): string {
    return change(this.goodText.replace(/^key [^]*$/m, '').replace('serial 5', 'serial 6'))
  }

  /** Publishes, rightly signed, a bundle with this index and the evil step's files. */
  async index(index: string): Promise<void> {
    const folder = this.host.path('evil')
    await mkdir(`${folder}/steps/01/files`, { recursive: true })
    await writeFile(`${folder}/steps/01/run`, `#!/bin/sh\n${this.command}\n`, { mode: 0o755 })
    await writeFile(`${folder}/index`, index)
    await run('tar', ['-C', folder, '-cf', this.host.path('evil.tar'), 'index', 'steps'])
    const { stdout } = await run('base64', ['-w0', this.host.path('evil.tar')])
    await this.host.publish(testRecipe([]), { bytes: gzipSync(Buffer.from(stdout, 'base64')), content: { serial: 6 } })
  }
}

const digest = sha256('x')
const step = (fields: string) => `parbake-bundle 1\nrecipe web\nevery 15\nstep ${fields}\n`
/** Values that a careless shell would run, or write elsewhere. */
const hostile = (attack: Attack) => `$(${attack.command.replaceAll(' ', '${IFS}')})`

const attacks: Readonly<Record<string, (attack: Attack) => Promise<void>>> = {
  'a bundle under the name of another': async (a) => a.host.put(keys.bundle('web', a.good.bundle), await a.bundle()),
  'a channel without a signature': async (a) => a.offer((await a.channel()).replace(/^sig [^]*/m, '')),
  'a channel with a foreign signature': async (a) => a.offer(await a.channel()),
  'a foreign signature under the right key’s name': async (a) =>
    a.offer((await a.channel()).replace(/^key .*$/m, `key ${a.host.key.publicKey}`)),
  'the signature of another text': async (a) =>
    a.offer((await a.channel()).replace(/^key [^]*/m, /^key [^]*/m.exec(a.goodText)![0])),
  'a second bundle line': async (a) => {
    const bytes = await a.bundle()
    await a.host.put(keys.bundle('web', sha256(bytes)), bytes)
    await a.offer(a.goodText.replace(/^agent /m, `bundle ${sha256(bytes)} ${bytes.length}\nagent `))
  },
  'a bundle line behind the signature': async (a) => {
    const bytes = await a.bundle()
    await a.host.put(keys.bundle('web', sha256(bytes)), bytes)
    await a.offer(`${a.goodText}bundle ${sha256(bytes)} ${bytes.length}\n`)
  },
  'a rollout that nobody signed': async (a) => {
    const bytes = await a.bundle()
    await a.host.put(keys.bundle('web', sha256(bytes)), bytes)
    await a.offer(a.goodText.replace(/^key /m, `rollout ${sha256(bytes)} ${bytes.length} 100 x\nkey `))
  },
  'trust that nobody signed': async (a) => {
    await a.offer(a.goodText.replace(/^key /m, `trust ${a.stranger.publicKey} 0\nkey `))
    await a.host.run(['run'])
    await a.offer(await a.channel())
  },
  'trust that its own key signs': async (a) => {
    await a.offer(await a.channel({ trust: [{ key: a.stranger.publicKey, notBefore: 0 }] }))
    await a.host.run(['run'])
    await a.offer(await a.channel())
  },
  'a key that is not valid yet': async (a) => {
    await a.offer(
      await a.channel(
        { ...a.good, serial: 6, trust: [{ key: a.stranger.publicKey, notBefore: 4_000_000_000 }] },
        a.host.key,
      ),
    )
    await a.host.run(['run'])
    await a.offer(await a.channel({ serial: 7 }))
  },
  'a key that was revoked': async (a) => {
    const next = signingKey()
    const trust = [next, a.stranger].map(({ publicKey }) => ({ key: publicKey, notBefore: 0 }))
    await a.offer(signChannel({ ...a.good, serial: 6, trust }, a.host.key))
    await a.host.run(['run'])
    await a.offer(signChannel({ ...a.good, serial: 7, revoke: [a.stranger.publicKey] }, next))
    await a.host.run(['run'])
    await a.offer(await a.channel({ serial: 8 }))
  },
  'a replayed channel': async (a) => a.offer(await a.channel({ serial: 4 }, a.host.key)),
  'an expired channel': async (a) => a.offer(await a.channel({ expires: 1_700_000_000 }, a.host.key)),
  'a channel of another recipe': async (a) => a.offer(await a.channel({ recipe: 'db' }, a.host.key)),
  'a channel of another name': async (a) => a.offer(await a.channel({ channel: 'canary' }, a.host.key)),
  'an agent under the name of another': async (a) => {
    await a.offer(signChannel({ ...a.good, serial: 6, agent: digest }, a.host.key))
    await a.host.put(keys.agent(digest), `#!/bin/sh\n${a.command}\n`)
  },
  'the agent of a replayed channel': async (a) => {
    const text = `#!/bin/sh\n${a.command}\n`
    await a.host.put(keys.agent(sha256(text)), text)
    await a.offer(signChannel({ ...a.good, serial: 4, agent: sha256(text) }, a.host.key))
  },
  'an agent that a stranger names': async (a) => {
    const text = `#!/bin/sh\n${a.command}\n`
    await a.host.put(keys.agent(sha256(text)), text)
    await a.offer(signChannel({ ...a.good, serial: 6, agent: sha256(text) }, a.stranger))
  },
  'signed: an agent that is a path': async (a) => {
    await a.host.put('evil.sh', `#!/bin/sh\n${a.command}\n`)
    await a.offer(a.signed(a.lines((text) => text.replace(/^agent .*$/m, 'agent ../evil'))))
  },
  'signed: a bundle that is a path': async (a) => {
    await a.host.put('evil.tar.gz', await a.bundle())
    await a.offer(a.signed(a.lines((text) => text.replace(/^bundle .*$/m, 'bundle ../../evil 900'))))
  },
  'signed: metacharacters in every line': async (a) =>
    a.offer(
      a.signed(
        a.lines((text) =>
          text.replaceAll(/ (\S+)$/gm, ` ${hostile(a)}`).replace(/^parbake-channel .*$/m, 'parbake-channel 1'),
        ),
      ),
    ),
  'signed: metacharacters as a rollout': async (a) =>
    a.offer(a.signed(`${a.lines()}rollout ${digest} 10 100 ${hostile(a)}\n`)),
  'signed: metacharacters as a rollout’s percentage': async (a) =>
    a.offer(a.signed(`${a.lines()}rollout ${digest} 10 a[${hostile(a)}] id\n`)),
  'signed: metacharacters as a key': async (a) => a.offer(a.signed(`${a.lines()}trust ${hostile(a)} 0\n`)),
  'signed: metacharacters as a time': async (a) =>
    a.offer(
      a.signed(
        a.lines((text) =>
          text.replace(/^published .*$/m, `published ${hostile(a)}`).replace(/^expires .*$/m, 'expires 9'),
        ),
      ),
    ),
  'signed: a line of a megabyte': async (a) => a.offer(a.signed(`${a.lines()}note ${'x'.repeat(1_000_000)}\n`)),
  'signed: an index with a command as a name': async (a) => a.index(step(`01 ${hostile(a)} ${digest} change 1 0 - -`)),
  'signed: an index with a command as a digest': async (a) => a.index(step(`01 evil ${hostile(a)} change 1 0 - -`)),
  'signed: an index with a digest that climbs': async (a) => a.index(step(`01 evil ../../x change 1 0 - -`)),
  'signed: an index with a command as a number': async (a) =>
    a.index(step(`01 evil ${digest} change a[${hostile(a)}] 0 - -`)),
  'signed: an index with a folder that climbs': async (a) => a.index(step(`../01 evil ${digest} change 1 0 - -`)),
  'signed: an index with too many words': async (a) => a.index(step(`01 evil ${digest} change 1 0 - - -`)),
  'signed: a line of a megabyte in the index': async (a) =>
    a.index(step(`01 ${'x'.repeat(1_000_000)} ${digest} change 1 0 - -`)),
  'signed: a limit that is a command': async (a) =>
    a.index(
      `parbake-bundle 1\nrecipe web\nevery a[${hostile(a)}]\nparallel a[${hostile(a)}]\nsplay a[${hostile(a)}]\n`,
    ),
}

it('would be seen if they ran a command', async () => {
  const a = await Attack.create()
  await using host = a.host
  await a.offer(await a.channel({}, a.host.key))
  await host.run(['run'])
  expect(existsSync(host.path('canary'))).toBe(true)
})

it('are at least thirty', () => expect(Object.keys(attacks).length).toBeGreaterThanOrEqual(30))

it.each(Object.entries(attacks))('%s runs no command', async (_, attack) => {
  const a = await Attack.create()
  await using host = a.host
  await attack(a)
  await host.run(['run'])
  await host.run(['run', '--trigger', 'boot'])
  await host.run(['diff'])
  expect(existsSync(host.path('canary'))).toBe(false)
  // And the host takes what is right afterwards.
  await host.publish(testRecipe([host.step('right')]), { content: { serial: 9 } })
  await host.converge()
  expect(host.trace().at(-1)).toBe('right')
})

it('a bomb in the place of a bundle fills no disk', async () => {
  const a = await Attack.create()
  await using host = a.host
  await using store = await faultStore(host.store)
  await host.configure({ store: store.url })
  await a.offer(await a.channel({}, host.key))
  const bomb = gzipSync(Buffer.alloc(50_000_000))
  store.fault = (_method, key) => (key.startsWith('bundles/') ? { status: 200, body: bomb } : undefined)
  await host.run(['run'])
  expect(existsSync(host.path('canary'))).toBe(false)
  const { stdout } = await run('du', ['-sk', host.path('state')])
  expect(Number.parseInt(stdout, 10)).toBeLessThan(1000)
})

it.each(['$(touch canary)', '`touch canary`', '"; touch canary; "', "'; touch canary; '"])(
  'headers of %j run no command',
  async (value) => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('good')]))
    await using store = await faultStore(host.store)
    await host.configure({ store: store.url })
    store.headers.length = 0
    store.fault = (_method, key) =>
      key.startsWith('channels/')
        ? {
            status: 200,
            body: host.text('store/channels/web/stable'),
            headers: { ETag: `"${value}"`, 'Retry-After': value },
          }
        : undefined
    for (const args of [['run'], ['run', '--trigger', 'boot'], ['diff']]) await host.run(args)
    expect(existsSync(host.path('canary'))).toBe(false)
  },
)
