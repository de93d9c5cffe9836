import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  maxChannelBytes,
  signChannel,
  verifyChannel,
  type BundleChannel,
  type SigningKey,
} from '../../src/bundle/channel.ts'
import { maxKeyLines, maxRolloutTags } from '../../src/bundle/channel-grammar.ts'
import { UserError } from '../../src/errors.ts'
import { encodePublicKey } from '../../src/keys/public-key.ts'
import { sha256 } from '../../src/util/sha256.ts'

function signingKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: encodePublicKey(privateKey) }
}

const own = signingKey()
const [next, old] = [signingKey().publicKey, signingKey().publicKey]

const plain: BundleChannel = {
  kind: 'bundle',
  recipe: 'web',
  channel: 'stable',
  serial: 8,
  bundle: sha256('bundle'),
  bundleBytes: 1234,
  agent: sha256('agent'),
  published: '2026-11-20T10:00:00Z',
  expires: 0,
}
const rollout = { bundle: sha256('next'), bundleBytes: 99, percent: 10, id: '20261121-3f2a9c', tags: [] }
const full: BundleChannel = {
  ...plain,
  rollout: { ...rollout, tags: ['canary', 'eu.west-1'] },
  trust: [{ key: next, notBefore: 1_800_000_000 }],
  revoke: [old],
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return 'accepted'
  } catch (error) {
    return error instanceof UserError ? error.code : String(error)
  }
}

describe('a channel with a rollout and changes of keys', () => {
  it('has its further lines between expires and key', () => {
    const lines = signChannel(full, own).split('\n')
    expect(lines.slice(7, 13)).toEqual([
      'expires 0',
      `rollout ${rollout.bundle} 99 10 20261121-3f2a9c`,
      'rollout-tags canary,eu.west-1',
      `trust ${next} 1800000000`,
      `revoke ${old}`,
      `key ${own.publicKey}`,
    ])
  })

  it.each<[string, BundleChannel]>([
    ['nothing further', plain],
    ['everything', full],
    ['a rollout alone', { ...plain, rollout }],
    ['a halted rollout', { ...plain, rollout: { ...rollout, percent: 0 } }],
    ['a key to trust', { ...plain, trust: [{ key: next, notBefore: 0 }] }],
    ['two keys to revoke', { ...plain, revoke: [old, next] }],
  ])('reads back with %s', (_name, content) => {
    const { signature, ...read } = verifyChannel(signChannel(content, own), [own.publicKey])
    expect(read).toEqual(content)
    expect(signature.key).toBe(own.publicKey)
  })

  it('stays small with as much as it can hold', () => {
    const keys = Array.from({ length: 2 * maxKeyLines }, () => signingKey().publicKey)
    const largest: BundleChannel = {
      ...full,
      rollout: {
        ...rollout,
        id: 'i'.repeat(64),
        tags: Array.from({ length: maxRolloutTags }, (_, index) => `${index}`.padStart(64, 't')),
      },
      trust: keys.slice(0, maxKeyLines).map((key) => ({ key, notBefore: 1_800_000_000 })),
      revoke: keys.slice(maxKeyLines),
    }
    const text = signChannel(largest, own)
    expect(Buffer.byteLength(text)).toBeLessThan(maxChannelBytes)
    expect(verifyChannel(text, [own.publicKey])).toMatchObject(largest)
  })

  it.each<[string, BundleChannel]>([
    ['too many keys to trust', { ...plain, trust: Array.from({ length: 9 }, () => ({ key: next, notBefore: 0 })) }],
    ['a percentage above 100', { ...plain, rollout: { ...rollout, percent: 101 } }],
    ['a broken percentage', { ...plain, rollout: { ...rollout, percent: 1.5 } }],
    ['a negative percentage', { ...plain, rollout: { ...rollout, percent: -1 } }],
    ['a tag with a comma', { ...plain, rollout: { ...rollout, tags: ['a,,b'] } }],
    ['a tag with a line break', { ...plain, rollout: { ...rollout, tags: ['a\nserial 99'] } }],
    ['an id with a blank', { ...plain, rollout: { ...rollout, id: 'a b' } }],
    ['no key', { ...plain, revoke: ['MCow'] }],
  ])('is not written with %s', (_name, content) => {
    expect(() => signChannel(content, own)).toThrow(TypeError)
  })

  it.each<[string, (text: string) => string, string]>([
    ['another percentage', (text) => text.replace(' 10 2026', ' 99 2026'), 'channel-bad-signature'],
    ['the rollout cut out', (text) => text.replace(/rollout .*\nrollout-tags .*\n/, ''), 'channel-bad-signature'],
    ['the revocation cut out', (text) => text.replace(/revoke .*\n/, ''), 'channel-bad-signature'],
    ['an earlier time to trust from', (text) => text.replace(' 1800000000', ' 0'), 'channel-bad-signature'],
    ['tags without a rollout', (text) => text.replace(/rollout .*\n/, ''), 'channel-malformed'],
    ['two rollouts', (text) => text.replace(/(rollout .*\n)/, '$1$1'), 'channel-malformed'],
    ['lines in another order', (text) => text.replace(/(trust .*\n)(revoke .*\n)/, '$2$1'), 'channel-malformed'],
    ['a key trusted twice', (text) => text.replace(/(trust .*\n)/, '$1$1'), 'channel-malformed'],
    ['a key trusted and revoked', (text) => text.replace(`revoke ${old}`, `revoke ${next}`), 'channel-malformed'],
    ['a leading zero', (text) => text.replace(' 10 2026', ' 010 2026'), 'channel-malformed'],
    ['more than a hundred percent', (text) => text.replace(' 10 2026', ' 101 2026'), 'channel-malformed'],
    ['a key line after the signature', (text) => `${text}trust ${next} 0\n`, 'channel-malformed'],
  ])('%s is refused', (_name, change, code) => {
    expect(codeOf(() => verifyChannel(change(signChannel(full, own)), [own.publicKey]))).toBe(code)
  })

  it('is refused where it revokes the key that signed it', () => {
    const text = signChannel({ ...plain, revoke: [own.publicKey] }, own)
    expect(codeOf(() => verifyChannel(text, [own.publicKey]))).toBe('channel-untrusted')
  })
})
