import { expect, it, describe } from 'vitest'
import { AgentHost, testRecipe } from '../support/agent.ts'

/** Flips one bit of the base64 value on a line of the channel, keeping it well-formed. */
function flip(text: string, line: string, byte: number): string {
  return text.replace(new RegExp(`^${line} (.*)$`, 'm'), (_, value: string) => {
    const bytes = Buffer.from(value, 'base64')
    const at = byte < 0 ? bytes.length + byte : byte
    bytes[at] = bytes[at]! ^ 4
    return `${line} ${bytes.toString('base64')}`
  })
}

describe.each([
  ['openssl', 'sig'],
  ['ssh-keygen', 'sshsig'],
  ['python3', 'sig'],
])('verifying with %s', (tool, signature) => {
  const env = { PARBAKE_VERIFY: tool }

  it('takes what is right, time and again', async () => {
    await using host = await AgentHost.create()
    for (const name of ['one', 'two', 'three']) {
      await host.publish(testRecipe([host.step(name)]))
      expect(await host.converge({ env })).toMatchObject({ outcome: 'ok', tools: { verify: tool } })
    }
    expect(host.trace()).toEqual(['one', 'two', 'three'])
  })

  it.each([
    ['the message', (text: string) => text.replace('published 2026', 'published 2027')],
    ['the first half of the signature', (text: string) => flip(text, signature, -60)],
    ['the second half of the signature', (text: string) => flip(text, signature, -2)],
    [
      'the signature’s frame',
      (text: string) => (signature === 'sig' ? flip(text, 'sig', 0) : flip(text, 'sshsig', 60)),
    ],
    ['the whole signature', (text: string) => text.replace(new RegExp(`^${signature} .*$`, 'm'), `${signature} AAAA`)],
    ['the namespace', (text: string) => (signature === 'sig' ? flip(text, 'sig', 31) : flip(text, 'sshsig', 70))],
  ])('refuses a change of %s', async (_, tamper) => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('evil')]), { tamper })
    const result = await host.run(['run'], { env })
    expect(result.code).toBe(1)
    expect(result.stderr).toMatch(/the channel's signature is wrong/)
    expect(host.trace()).toEqual([])
  })

  it('refuses a flipped bit in a key, even one that is trusted', async () => {
    await using host = await AgentHost.create()
    const tamper = (text: string) => flip(text, 'key', -3)
    await host.publish(testRecipe([host.step('evil')]), { tamper })
    expect((await host.run(['run'], { env })).stderr).toMatch(/a key that this host does not trust/)
    const other = flip(`key ${host.key.publicKey}`, 'key', -3).slice(4)
    await host.configure({ key: other })
    expect((await host.run(['run'], { env })).stderr).toMatch(/the channel's signature is wrong/)
    expect(host.trace()).toEqual([])
  })
})

describe('choosing what verifies', () => {
  it.each([
    ['OpenSSL 3.0.19 27 Jan 2026', 'openssl'],
    ['OpenSSL 1.1.1w  11 Sep 2023', 'ssh-keygen'],
    ['LibreSSL 3.8.2', 'ssh-keygen'],
  ])('%s: %s', async (version, expected) => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([]))
    await host.fake('openssl', `[ "$1" != version ] || { echo '${version}'; exit 0; }\nexec /usr/bin/openssl "$@"`)
    expect((await host.converge()).tools.verify).toBe(expected)
  })

  it('falls back to python3 where ssh-keygen is too old as well', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([]))
    await host.fake('openssl', 'echo OpenSSL 1.1.1w')
    await host.fake('ssh-keygen', 'echo "unknown option -- Y" >&2; exit 1')
    expect((await host.converge()).tools.verify).toBe('python3')
  })

  it('says that nothing can be verified, and believes nothing', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('evil')]))
    const result = await host.run(['run'], { env: { PARBAKE_VERIFY: 'none' } })
    expect(result.stderr).toMatch(/openssl 3, ssh-keygen or python3 is needed to verify/)
    expect(host.trace()).toEqual([])
  })
})
