import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { UserError } from '../errors.ts'
import { isSha256, type Sha256 } from '../util/sha256.ts'
import { sshSign, sshSignatureBlob, sshSignedData } from './ssh-signature.ts'

interface PointerContent {
  readonly recipe: string
  readonly channel: string
  /** Grows by one with every change of the channel; hosts refuse an older one. */
  readonly serial: number
  /** RFC 3339, UTC, whole seconds. */
  readonly published: string
}

/** What a recipe's channel says: which bundle and which agent hosts should have. */
export interface BundleChannel extends PointerContent {
  readonly kind: 'bundle'
  readonly bundle: Sha256
  readonly bundleBytes: number
  /** Digest of the agent that hosts should run. */
  readonly agent: Sha256
  /** Unix seconds after which hosts refuse this channel; 0 for never. */
  readonly expires: number
}

/** What an image channel says: which image is the current one. */
export interface ImageChannel extends PointerContent {
  readonly kind: 'image'
  readonly image: string
  /** Digest of the image's manifest.json. */
  readonly manifest: Sha256
}

export type ChannelContent = BundleChannel | ImageChannel

/** What signs a channel; `loadSigningKey` makes one. */
export interface SigningKey {
  readonly privateKey: KeyObject
  /** Base64 of the 44-byte SPKI DER form. */
  readonly publicKey: string
}

export interface Signature {
  /** Base64 SPKI DER of the key that signed. */
  readonly key: string
  /** Base64 of the raw signature, 64 bytes. */
  readonly sig: string
  /** Base64 of the SSHSIG blob; bundle channels only. */
  readonly sshsig?: string
}

export type SignedChannel<C extends ChannelContent = ChannelContent> = C & { readonly signature: Signature }

/** More than any channel is; what is larger is not read any further. */
export const maxChannelBytes = 4096

const patterns = {
  name: /^[a-z0-9][a-z0-9._-]{0,63}$/,
  image: /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/,
  number: /^(0|[1-9][0-9]{0,14})$/,
  digest: /^[0-9a-f]{64}$/,
  time: /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/,
  base64: /^[A-Za-z0-9+/]+={0,2}$/,
} as const

type Pattern = keyof typeof patterns

/** The lines of each kind in their order, with what each word must look like. */
const grammar = {
  bundle: [
    ['parbake-channel', 'number'],
    ['recipe', 'name'],
    ['channel', 'name'],
    ['serial', 'number'],
    ['bundle', 'digest', 'number'],
    ['agent', 'digest'],
    ['published', 'time'],
    ['expires', 'number'],
    ['key', 'base64'],
    ['sig', 'base64'],
    ['sshsig', 'base64'],
  ],
  image: [
    ['parbake-image-channel', 'number'],
    ['recipe', 'name'],
    ['channel', 'name'],
    ['serial', 'number'],
    ['image', 'image'],
    ['manifest', 'digest'],
    ['published', 'time'],
    ['key', 'base64'],
    ['sig', 'base64'],
  ],
} as const satisfies Record<ChannelContent['kind'], readonly (readonly [string, Pattern, ...Pattern[]])[]>

/** The text that is signed: every line up to and with `key`. Throws a TypeError for content that has no valid text. */
export function renderChannel(content: ChannelContent, publicKey: string): string {
  const shared = [`recipe ${content.recipe}`, `channel ${content.channel}`, `serial ${content.serial}`]
  const lines =
    content.kind === 'bundle'
      ? [
          'parbake-channel 1',
          ...shared,
          `bundle ${content.bundle} ${content.bundleBytes}`,
          `agent ${content.agent}`,
          `published ${content.published}`,
          `expires ${content.expires}`,
        ]
      : [
          'parbake-image-channel 1',
          ...shared,
          `image ${content.image}`,
          `manifest ${content.manifest}`,
          `published ${content.published}`,
        ]
  lines.push(`key ${publicKey}`)
  for (const [index, line] of lines.entries()) {
    if (wordsOf(line, grammar[content.kind][index]) === undefined) {
      throw new TypeError(`a channel cannot hold the line '${line}'`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** The whole channel text, signed. */
export function signChannel(content: ChannelContent, signingKey: SigningKey): string {
  const message = renderChannel(content, signingKey.publicKey)
  const sig = sign(null, Buffer.from(message), signingKey.privateKey).toString('base64')
  if (content.kind === 'image') {
    return `${message}sig ${sig}\n`
  }
  const sshsig = sshSign(message, signingKey.privateKey, signingKey.publicKey).toString('base64')
  return `${message}sig ${sig}\nsshsig ${sshsig}\n`
}

/**
 * Reads a channel without trusting it: the form only, exactly. Throws a UserError with code `channel-malformed`.
 */
export function parseChannel(text: string): SignedChannel {
  if (Buffer.byteLength(text) > maxChannelBytes) throw malformed('it is too large')
  if (!text.endsWith('\n')) throw malformed('its end is missing')
  const lines = text.slice(0, -1).split('\n')
  const kind = lines[0]?.startsWith('parbake-image-channel ') === true ? 'image' : 'bundle'
  const expected = grammar[kind]
  const values: Record<string, string> = {}
  for (const [index, form] of expected.entries()) {
    const words = wordsOf(lines[index] ?? '', form)
    if (words === undefined) throw malformed(`line ${index + 1} is not '${form[0]} …' as it should be`)
    values[form[0]] = words[0] ?? ''
    if (words[1] !== undefined) values['size'] = words[1]
  }
  if (lines.length > expected.length) throw malformed(`line ${expected.length + 1} should not be there`)
  if (values[expected[0][0]] !== '1') {
    throw malformed(`it has version ${values[expected[0][0]]}, and this parbake reads version 1`)
  }
  return channelOf(kind, values)
}

export interface VerifyOptions {
  /** Refuse a serial below this one. */
  readonly minSerial?: number
  /** Unix seconds; refuse a channel that has expired by then. Absent: expiry is not looked at. */
  readonly nowSeconds?: number
  /** Refuse a channel of another recipe or name: a valid text may have been copied to another key. */
  readonly recipe?: string
  readonly channel?: string
}

/**
 * Reads a channel and checks its signatures against the trusted keys (base64 SPKI DER). Throws a UserError with code
 * `channel-malformed`, `channel-untrusted`, `channel-bad-signature`, `channel-misplaced`, `channel-old` or
 * `channel-expired`.
 */
export function verifyChannel(
  text: string,
  trustedKeys: readonly string[],
  options: VerifyOptions = {},
): SignedChannel {
  const channel = parseChannel(text)
  const label = `channel '${channel.channel}' of '${channel.recipe}'`
  if (!trustedKeys.includes(channel.signature.key)) {
    throw new UserError(`${label} is signed by a key that is not trusted: ${channel.signature.key}`, {
      hint: 'if that key is yours, put its .pub file into the keys folder',
      code: 'channel-untrusted',
    })
  }
  if (!signaturesHold(text, channel.signature)) {
    throw new UserError(`${label} has a wrong signature`, {
      hint: 'it was changed after it was signed: find out by whom before you replace it',
      code: 'channel-bad-signature',
    })
  }
  for (const name of ['recipe', 'channel'] as const) {
    const wanted = options[name]
    if (wanted !== undefined && wanted !== channel[name]) {
      throw new UserError(`${label} stands where the ${name} '${wanted}' should be`, { code: 'channel-misplaced' })
    }
  }
  if (channel.serial < (options.minSerial ?? 0)) {
    throw new UserError(`${label} has serial ${channel.serial}, but ${options.minSerial} was seen before`, {
      code: 'channel-old',
    })
  }
  const expires = channel.kind === 'bundle' ? channel.expires : 0
  if (expires !== 0 && options.nowSeconds !== undefined && options.nowSeconds >= expires) {
    throw new UserError(`${label} expired at ${new Date(expires * 1000).toISOString()}`, {
      hint: 'publish the recipe again',
      code: 'channel-expired',
    })
  }
  return channel
}

/** Throws a UserError (exit code 2) for what cannot be a channel's name: it becomes a word of a line and an object key. */
export function checkChannelName(name: string): void {
  if (patterns.name.test(name)) return
  throw new UserError(`'${name}' is no name for a channel`, {
    hint: 'use lower-case letters, digits, dot, _ and -, a letter or digit first, at most 64 characters',
    exitCode: 2,
  })
}

/** A time as a channel writes it. */
export function channelTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}

function wordsOf(line: string, form: readonly [string, Pattern, ...Pattern[]] | undefined): string[] | undefined {
  if (form === undefined) return undefined
  const [name, ...words] = line.split(' ')
  const [expectedName, ...expected] = form
  if (name !== expectedName || words.length !== expected.length) return undefined
  return expected.every((pattern, index) => patterns[pattern].test(words[index] ?? '')) ? words : undefined
}

function channelOf(kind: ChannelContent['kind'], values: Readonly<Record<string, string>>): SignedChannel {
  const text = (name: string) => values[name] ?? ''
  const digest = (name: string) => {
    const value = text(name)
    if (!isSha256(value)) throw malformed(`${name} is no sha256`)
    return value
  }
  const shared = {
    recipe: text('recipe'),
    channel: text('channel'),
    serial: Number(text('serial')),
    published: text('published'),
  }
  const signature = { key: text('key'), sig: text('sig') }
  if (kind === 'image') {
    return { kind, ...shared, image: text('image'), manifest: digest('manifest'), signature }
  }
  return {
    kind,
    ...shared,
    bundle: digest('bundle'),
    bundleBytes: Number(text('size')),
    agent: digest('agent'),
    expires: Number(text('expires')),
    signature: { ...signature, sshsig: text('sshsig') },
  }
}

/** Both signatures count: a host checks one or the other, and all hosts must come to the same result. */
function signaturesHold(text: string, signature: Signature): boolean {
  const message = text.slice(0, text.indexOf('\nsig ') + 1)
  const der = Buffer.from(signature.key, 'base64')
  const sig = Buffer.from(signature.sig, 'base64')
  // Signatures in a second spelling of base64 are not what we wrote.
  if (der.toString('base64') !== signature.key || sig.toString('base64') !== signature.sig) return false
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    if (key.asymmetricKeyType !== 'ed25519') return false
    if (!verify(null, Buffer.from(message), key, sig)) return false
    if (signature.sshsig === undefined) return true
    const blob = Buffer.from(signature.sshsig, 'base64')
    const inner = blob.subarray(-64)
    return (
      sshSignatureBlob(signature.key, inner).toString('base64') === signature.sshsig &&
      verify(null, sshSignedData(message), key, inner)
    )
  } catch {
    return false
  }
}

function malformed(what: string): UserError {
  return new UserError(`this is not a parbake channel: ${what}`, { code: 'channel-malformed' })
}
