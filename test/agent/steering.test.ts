import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { BundleChannel, SigningKey } from '../../src/bundle/channel.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import { placeInRollout, takesRollout } from '../../src/rollout/membership.ts'
import { keys } from '../../src/store/keys.ts'
import { AgentHost, shells, signingKey, testRecipe, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

/** Publishes a bundle of the step `old` and beside it one of the step `new` for a part of the hosts. */
async function publishRollout(host: AgentHost, percent: number, tags: string[] = [], id = 'r1') {
  const { bytes, sha256 } = await packBundle(testRecipe([host.step('new')]))
  await host.put(keys.bundle('web', sha256), bytes)
  const rollout = { bundle: sha256, bundleBytes: bytes.length, percent, id, tags }
  await host.publish(testRecipe([host.step('old')]), { content: { rollout } })
  return rollout
}

describe('a rollout', () => {
  it.each(names)('is taken by the hosts that the same rule names elsewhere (%s)', async (shell) => {
    const seen = new Set<boolean>()
    for (const machine of ['a', 'b', 'c', 'd']) {
      await using host = await AgentHost.create()
      await writeFile(host.path('etc/machine-id'), `${machine}\n`)
      await publishRollout(host, 100)
      const { host: name } = await host.converge({ shell })
      const place = placeInRollout('r2', name)
      // Just outside of it, and just inside.
      for (const percent of [Math.floor(place / 100), Math.floor(place / 100) + 1]) {
        const rollout = await publishRollout(host, percent, [], 'r2')
        const takes = takesRollout(rollout, name)
        seen.add(takes)
        const report = await host.converge({ shell })
        expect(report.rollout).toBe(takes ? 'r2' : '')
        expect(report.bundle === rollout.bundle).toBe(takes)
      }
      expect(host.trace()).toEqual(['new', 'old'])
    }
    expect(seen).toEqual(new Set([true, false]))
  })

  it('is taken by its tags, and left when it is undone', async () => {
    await using host = await AgentHost.create({ tags: 'edge,canary' })
    await publishRollout(host, 0, ['web', 'canary'])
    expect(await host.converge()).toMatchObject({ rollout: 'r1', tags: ['edge', 'canary'] })
    expect(host.trace()).toEqual(['new'])
    expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
    await publishRollout(host, 0, ['other'])
    expect((await host.converge()).rollout).toBe('')
    expect(host.trace()).toEqual(['new', 'old'])
  })
})

describe('keys in channels', () => {
  const later = Math.floor(Date.now() / 1000) + 86_400
  const publish = (host: AgentHost, step: string, content: Partial<BundleChannel>, key?: SigningKey) =>
    host.publish(testRecipe([host.step(step)]), { content, ...(key === undefined ? {} : { key }) })
  /** What it comes to when the host is offered this. */
  async function offered(host: AgentHost, step: string, content: Partial<BundleChannel>, key?: SigningKey) {
    await publish(host, step, content, key)
    await host.run(['run'])
    return host.trace().includes(step) ? 'ran' : host.report().error
  }

  it.each(names)('introduce another key, which may then sign and revoke the first (%s)', async (shell) => {
    await using host = await AgentHost.create()
    const second = signingKey()
    await publish(host, 'one', { trust: [{ key: second.publicKey, notBefore: 0 }] })
    await host.converge({ shell })
    expect(await offered(host, 'two', {}, second)).toBe('ran')
    expect(await offered(host, 'three', { revoke: [host.key.publicKey] }, second)).toBe('ran')
    expect(await offered(host, 'four', {})).toMatch(/signed by a key that was revoked/)
    // For ever: agent.conf still names it, and a later word of trust does not bring it back.
    expect(await offered(host, 'five', { trust: [{ key: host.key.publicKey, notBefore: 0 }] }, second)).toBe('ran')
    await host.reboot()
    expect(await offered(host, 'six', {})).toMatch(/was revoked/)
    expect(host.trace()).not.toContain('four')
  })

  it('are not valid before their time, by whatever clock', async () => {
    await using host = await AgentHost.create()
    const second = signingKey()
    await publish(host, 'one', { trust: [{ key: second.publicKey, notBefore: later }] })
    await host.converge()
    expect(await offered(host, 'two', {}, second)).toMatch(/is not valid before \d+/)
    // Nor does what its own channel says of the time.
    const early = { published: new Date((later + 1) * 1000).toISOString().replace('.000', '') }
    expect(await offered(host, 'early', early, second)).toMatch(/is not valid before/)
    // A second word about the key does not make it valid earlier.
    expect(await offered(host, 'three', { trust: [{ key: second.publicKey, notBefore: 0 }] })).toBe('ran')
    expect(await offered(host, 'four', {}, second)).toMatch(/is not valid before/)
    await host.fake('date', `[ "$*" = +%s ] && echo ${later + 1} || PATH=/usr/bin:/bin exec date "$@"`)
    expect(await offered(host, 'five', {}, second)).toBe('ran')
  })

  it('never leave a host without one', async () => {
    await using host = await AgentHost.create()
    const second = signingKey()
    const own = { revoke: [host.key.publicKey] }
    expect(await offered(host, 'one', own)).toMatch(/would leave this host without a valid key/)
    expect(await offered(host, 'two', { ...own, trust: [{ key: second.publicKey, notBefore: later }] })).toMatch(
      /without a valid key/,
    )
    expect(await offered(host, 'three', {})).toBe('ran')
    expect(await offered(host, 'four', { ...own, trust: [{ key: second.publicKey, notBefore: 0 }] })).toBe('ran')
    expect(await offered(host, 'five', {}, second)).toBe('ran')
  })

  it('are learned from no channel that is refused', async () => {
    await using host = await AgentHost.create()
    const second = signingKey()
    const trust = [{ key: second.publicKey, notBefore: 0 }]
    await publish(host, 'one', {})
    await host.converge()
    for (const content of [{ serial: 0 }, { expires: 1_700_000_000 }, { recipe: 'db' }, { channel: 'canary' }]) {
      await offered(host, 'evil', { trust, ...content })
    }
    expect(await offered(host, 'evil', { trust }, signingKey())).toMatch(/does not trust/)
    expect(await offered(host, 'evil', {}, second)).toMatch(/does not trust/)
    expect(readdirSync(host.path('state'))).not.toContain('keys')
  })
})

describe('a clock that is wrong', () => {
  /** Seconds since 1970 that the host believes in. */
  const clockAt = (host: AgentHost, seconds: number) =>
    host.fake('date', `[ "$*" = +%s ] && echo ${seconds} || PATH=/usr/bin:/bin exec date "$@"`)

  it('by decades into the past is told, and does no harm', async () => {
    await using host = await AgentHost.create()
    await clockAt(host, 1000)
    await host.publish(testRecipe([host.step('one')]), { content: { expires: 2_000_000_000 } })
    expect(await host.converge()).toMatchObject({ outcome: 'ok' })
    expect(host.text('agent.log')).toMatch(
      /clock is wrong: it says 1000, and the channel was published at 2026-11-20T10:00:00Z/,
    )
  })

  it('into the future is told where a channel seems to have expired, and nothing is lost', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]), { content: { expires: 2_000_000_000 } })
    await clockAt(host, 4_000_000_000)
    const report = await host.converge({ code: 1 })
    expect(report.error).toMatch(
      /published at 2026-11-20T10:00:00Z, has expired: .* set this host's clock \(4000000000\)/,
    )
    await clockAt(host, 1_800_000_000)
    expect(await host.converge()).toMatchObject({ outcome: 'ok' })
  })

  it.each([
    ['1970-01-02T00:00:00Z', 86_400],
    ['2000-02-29T12:34:56Z', 951_827_696],
    ['2026-11-20T10:00:00Z', 1_795_168_800],
    ['2100-03-01T00:00:00Z', 4_107_542_400],
  ])('is held against %s', async (published, seconds) => {
    expect(Date.parse(published) / 1000).toBe(seconds)
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]), { content: { published, expires: seconds + 10 } })
    await clockAt(host, seconds + 9)
    await host.converge()
    await clockAt(host, seconds + 10)
    expect((await host.converge({ code: 1 })).error).toMatch(/has expired/)
    await clockAt(host, seconds - 1)
    await host.converge()
    expect(host.text('agent.log')).toMatch(/clock is wrong/)
  })
})
