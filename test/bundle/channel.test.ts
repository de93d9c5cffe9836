import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  channelTime,
  parseChannel,
  renderChannel,
  signChannel,
  verifyChannel,
  type BundleChannel,
  type ImageChannel,
  type SigningKey,
} from '../../src/bundle/channel.ts'
import { sshPublicKey } from '../../src/bundle/ssh-signature.ts'
import { UserError } from '../../src/errors.ts'
import { encodePublicKey } from '../../src/keys/public-key.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'

function signingKey(privateKey = generateKeyPairSync('ed25519').privateKey): SigningKey {
  return { privateKey, publicKey: encodePublicKey(privateKey) }
}

/** The key of RFC 8032, 7.1, test 1. */
const fixedKey = signingKey(
  createPrivateKey({
    key: Buffer.from(
      '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'hex',
    ),
    format: 'der',
    type: 'pkcs8',
  }),
)

const content: BundleChannel = {
  kind: 'bundle',
  recipe: 'web',
  channel: 'stable',
  serial: 7,
  bundle: sha256('bundle'),
  bundleBytes: 1234,
  agent: sha256('agent'),
  published: '2026-11-20T10:00:00Z',
  expires: 2_000_000_000,
}

const image: ImageChannel = {
  kind: 'image',
  recipe: 'web',
  channel: 'stable',
  serial: 3,
  image: 'web-20261120-3f2a',
  manifest: sha256('manifest'),
  published: '2026-11-20T10:00:00Z',
}

describe('a bundle channel', () => {
  it('has one fixed text', () => {
    expect(signChannel(content, fixedKey)).toMatchInlineSnapshot(`
      "parbake-channel 1
      recipe web
      channel stable
      serial 7
      bundle 1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc 1234
      agent d4f0bc5a29de06b510f9aa428f1eedba926012b591fef7a518e776a7c9bd1824
      published 2026-11-20T10:00:00Z
      expires 2000000000
      key MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
      sig +cQTz+s32hwDn9A1Sff9KrBCesbqwx2C37RY23mQpU7ZLF/HM+hMii8InLFjtE8iwtcKrnn4nMnNamrM3XnOAQ==
      sshsig U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURoAAAAHcGFyYmFrZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDiPKLMCGlY3vNZNlX4/0sv6egYSxmjPN1KHJSOM9l2HOjz96cMB7KiE137kf7+1q+FBuCMkcjiVoBro6lDuTYI
      "
    `)
  })

  it('reads back as it was written', () => {
    const { signature, ...read } = verifyChannel(signChannel(content, fixedKey), [fixedKey.publicKey])
    expect(read).toEqual(content)
    expect(signature.key).toBe(fixedKey.publicKey)
  })

  it('is accepted by openssl and by ssh-keygen, and by neither after a change', async () => {
    await using dir = await tempDir('channel')
    const key = signingKey()
    const channel = parseChannel(signChannel(content, key))
    const message = renderChannel(content, key.publicKey)
    const file = (name: string) => join(dir.path, name)
    const pem = `-----BEGIN PUBLIC KEY-----\n${key.publicKey}\n-----END PUBLIC KEY-----\n`
    const armour = `-----BEGIN SSH SIGNATURE-----\n${channel.signature.sshsig ?? ''}\n-----END SSH SIGNATURE-----\n`
    await writeFile(file('key.pem'), pem)
    await writeFile(file('sig'), Buffer.from(channel.signature.sig, 'base64'))
    await writeFile(file('sshsig'), armour)
    await writeFile(file('allowed'), `parbake ${sshPublicKey(key.publicKey)}\n`)
    for (const [text, exitCode] of [
      [message, 0],
      [message.replace('serial 7', 'serial 8'), 1],
    ] as const) {
      await writeFile(file('message'), text)
      const openssl = [
        'pkeyutl',
        '-verify',
        '-pubin',
        '-inkey',
        file('key.pem'),
        '-rawin',
        '-in',
        file('message'),
        '-sigfile',
        file('sig'),
      ]
      expect((await run('openssl', openssl, { allowFailure: true })).exitCode).toBe(exitCode)
      const ssh = ['-Y', 'verify', '-f', file('allowed'), '-I', 'parbake', '-n', 'parbake', '-s', file('sshsig')]
      const result = await run('ssh-keygen', ssh, { input: text, allowFailure: true })
      expect(result.exitCode === 0).toBe(exitCode === 0)
    }
  })

  it('makes the very signature that ssh-keygen makes with the same key', async () => {
    await using dir = await tempDir('channel')
    const path = join(dir.path, 'id')
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path])
    // ssh-keygen cannot write an Ed25519 key in PKCS#8: the seed is taken from its own format.
    const { readFile } = await import('node:fs/promises')
    const body = Buffer.from((await readFile(path, 'utf8')).replace(/-----.*-----/g, ''), 'base64')
    const marker = Buffer.concat([Buffer.from([0, 0, 0, 64])])
    const seed = body.subarray(body.lastIndexOf(marker) + 4).subarray(0, 32)
    const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
    const key = signingKey(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }))
    expect(`${sshPublicKey(key.publicKey)}`).toBe((await readFile(`${path}.pub`, 'utf8')).trim())
    const message = renderChannel(content, key.publicKey)
    await writeFile(join(dir.path, 'message'), message)
    await run('ssh-keygen', ['-q', '-Y', 'sign', '-f', path, '-n', 'parbake', join(dir.path, 'message')])
    const theirs = (await readFile(join(dir.path, 'message.sig'), 'utf8'))
      .replace(/-----.*-----/g, '')
      .replaceAll('\n', '')
    expect(parseChannel(signChannel(content, key)).signature.sshsig).toBe(theirs)
  })
})

describe('an image channel', () => {
  it('has one fixed text', () => {
    expect(signChannel(image, fixedKey)).toMatchInlineSnapshot(`
      "parbake-image-channel 1
      recipe web
      channel stable
      serial 3
      image web-20261120-3f2a
      manifest 05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
      published 2026-11-20T10:00:00Z
      key MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
      sig /V9GA8ZbS9Q/zG8LJe6nHcJfMy+X3HhknMAOBPXWuQKcCyG8dCJXYl0u7OiuYVhlz/RJRegYjql7ftkm0PuLDw==
      "
    `)
  })

  it('reads back as it was written', () => {
    const { signature, ...read } = verifyChannel(signChannel(image, fixedKey), [fixedKey.publicKey])
    expect(read).toEqual(image)
    expect(signature.sshsig).toBeUndefined()
  })
})

function codeOf(work: () => unknown): string | undefined {
  try {
    work()
    return 'accepted'
  } catch (error) {
    return error instanceof UserError ? error.code : String(error)
  }
}

describe('verifying', () => {
  const text = signChannel(content, fixedKey)
  const trusted = [fixedKey.publicKey]
  const other = signingKey()

  it('notices every single changed byte', () => {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (bytes[at] ?? 0) ^ 1
      expect(
        codeOf(() => verifyChannel(changed.toString('latin1'), trusted)),
        `byte ${at}`,
      ).toMatch(/^channel-/)
    }
  })

  it('notices every cut', () => {
    for (let length = 0; length < text.length; length += 1) {
      expect(
        codeOf(() => verifyChannel(text.slice(0, length), trusted)),
        `${length} bytes`,
      ).toBe('channel-malformed')
    }
  })

  it.each<[string, string, readonly string[], Parameters<typeof verifyChannel>[2], string]>([
    ['a trusted key among others', text, [other.publicKey, fixedKey.publicKey], {}, 'accepted'],
    ['an untrusted key', text, [other.publicKey], {}, 'channel-untrusted'],
    ['no trusted key', text, [], {}, 'channel-untrusted'],
    [
      'the signature of another key under a trusted name',
      text.replace(/sig .*\n/, signChannel(content, other).match(/sig .*\n/)?.[0] ?? ''),
      trusted,
      {},
      'channel-bad-signature',
    ],
    ['the same serial again', text, trusted, { minSerial: 7 }, 'accepted'],
    ['an older serial', text, trusted, { minSerial: 8 }, 'channel-old'],
    ['the last second before expiry', text, trusted, { nowSeconds: 1_999_999_999 }, 'accepted'],
    ['the second of expiry', text, trusted, { nowSeconds: 2_000_000_000 }, 'channel-expired'],
    [
      'no expiry',
      signChannel({ ...content, expires: 0 }, fixedKey),
      trusted,
      { nowSeconds: 9_000_000_000 },
      'accepted',
    ],
    ['its own place', text, trusted, { recipe: 'web', channel: 'stable' }, 'accepted'],
    ["another recipe's place", text, trusted, { recipe: 'db' }, 'channel-misplaced'],
    ["another channel's place", text, trusted, { channel: 'canary' }, 'channel-misplaced'],
    ['an added line', `${text}x\n`, trusted, {}, 'channel-malformed'],
    ['carriage returns', text.replaceAll('\n', '\r\n'), trusted, {}, 'channel-malformed'],
    ['a second blank', text.replace('serial 7', 'serial  7'), trusted, {}, 'channel-malformed'],
    ['a leading zero', text.replace('serial 7', 'serial 07'), trusted, {}, 'channel-malformed'],
    ['a later version', text.replace('channel 1', 'channel 2'), trusted, {}, 'channel-malformed'],
    [
      'an unpadded spelling of the signature',
      text.replace(/^(sig .*?)=+$/m, '$1'),
      trusted,
      {},
      'channel-bad-signature',
    ],
    ['a huge text', text + 'x'.repeat(10_000), trusted, {}, 'channel-malformed'],
    ['nothing', '', trusted, {}, 'channel-malformed'],
  ])('%s', (_name, candidate, keys, options, expected) => {
    expect(codeOf(() => verifyChannel(candidate, keys, options))).toBe(expected)
  })

  it('refuses to write what would not read back', () => {
    expect(() => signChannel({ ...content, recipe: 'web\nserial 9' }, fixedKey)).toThrow(TypeError)
    expect(() => signChannel({ ...content, serial: 1.5 }, fixedKey)).toThrow(TypeError)
  })

  it('writes times in whole seconds', () => {
    expect(channelTime(Date.UTC(2026, 10, 20, 10, 0, 0, 999))).toBe('2026-11-20T10:00:00Z')
  })
})
