import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { UserError } from '../errors.ts'
import { isSha256, type Sha256 } from '../util/sha256.ts'
import { areSignedLines, isChannelWord, readLines, type ChannelLines } from './channel-grammar.ts'
import { sshSignatureBlob, sshSignedData } from './ssh-signature.ts'

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
  /** A second bundle that some of the hosts take. */
  readonly rollout?: Rollout
  /** Keys that hosts are to trust from a time on; none where absent. At most `maxKeyLines`. */
  readonly trust?: readonly IntroducedKey[]
  /** Base64 SPKI DER of keys that hosts are never to trust again; none where absent. At most `maxKeyLines`. */
  readonly revoke?: readonly string[]
}

/** A bundle on its way to the fleet. */
export interface Rollout {
  readonly bundle: Sha256
  readonly bundleBytes: number
  /** Whole number, 0 to 100: the share of hosts that take it, chosen by `id` and the host's name. */
  readonly percent: number
  /** Another id chooses other hosts. */
  readonly id: string
  /** Hosts with one of these tags take it besides; at most `maxRolloutTags`. */
  readonly tags: readonly string[]
}

export interface IntroducedKey {
  /** Base64 SPKI DER. */
  readonly key: string
  /** Unix seconds from which on hosts accept it. */
  readonly notBefore: number
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

/** What signs channels, wherever its private key is. */
export interface Signer {
  /** Base64 SPKI DER. */
  readonly publicKey: string
  /** The raw signature of these bytes, 64 bytes. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>
  /** Where it is at hand, and not behind a command. */
  readonly privateKey?: KeyObject
}

/** A private key, where it is at hand. */
export type KeyAtHand = Pick<Signer, 'privateKey'>

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
          ...rolloutLines(content),
          ...(content.trust ?? []).map(({ key, notBefore }) => `trust ${key} ${notBefore}`),
          ...(content.revoke ?? []).map((key) => `revoke ${key}`),
        ]
      : [
          'parbake-image-channel 1',
          ...shared,
          `image ${content.image}`,
          `manifest ${content.manifest}`,
          `published ${content.published}`,
        ]
  lines.push(`key ${publicKey}`)
  if (!areSignedLines(lines, content.kind)) {
    throw new TypeError(`a channel cannot hold these lines:\n${lines.join('\n')}`)
  }
  return `${lines.join('\n')}\n`
}

function rolloutLines({ rollout }: BundleChannel): string[] {
  if (rollout === undefined) return []
  const { bundle, bundleBytes, percent, id, tags } = rollout
  return [
    `rollout ${bundle} ${bundleBytes} ${percent} ${id}`,
    ...(tags.length === 0 ? [] : [`rollout-tags ${tags.join(',')}`]),
  ]
}

/** The whole channel text, signed. */
export function signChannel(content: ChannelContent, signingKey: SigningKey): string {
  const message = renderChannel(content, signingKey.publicKey)
  const signatures = messagesOf(message, content.kind).map((each) => sign(null, each, signingKey.privateKey))
  return withSignatures(message, signingKey.publicKey, signatures)
}

/** As `signChannel`, by whatever holds the key. */
export async function signChannelWith(content: ChannelContent, signer: Signer): Promise<string> {
  return signMessage(renderChannel(content, signer.publicKey), content.kind, signer)
}

/** The whole channel text around what `renderChannel` made with the signer's key. */
export async function signMessage(message: string, kind: ChannelContent['kind'], signer: Signer): Promise<string> {
  const signatures: Uint8Array[] = []
  // One after the other: a command may ask somebody for a PIN.
  for (const each of messagesOf(message, kind)) signatures.push(await signer.sign(each))
  return withSignatures(message, signer.publicKey, signatures)
}

/** What is signed: the text itself, and for hosts that have only ssh-keygen what that makes of it. */
function messagesOf(message: string, kind: ChannelContent['kind']): readonly Buffer[] {
  return kind === 'image' ? [Buffer.from(message)] : [Buffer.from(message), sshSignedData(message)]
}

function withSignatures(message: string, publicKey: string, [raw, ssh]: readonly Uint8Array[]): string {
  const sig = `sig ${Buffer.from(raw ?? []).toString('base64')}\n`
  if (ssh === undefined) return `${message}${sig}`
  return `${message}${sig}sshsig ${sshSignatureBlob(publicKey, Buffer.from(ssh)).toString('base64')}\n`
}

/**
 * Reads a channel without trusting it: the form only, exactly. Throws a UserError with code `channel-malformed`.
 */
export function parseChannel(text: string): SignedChannel {
  if (Buffer.byteLength(text) > maxChannelBytes) throw malformed('it is too large')
  const read = readLines(text)
  if ('problem' in read) throw malformed(read.problem)
  return channelOf(read.kind, read.lines)
}

/** Reads what `renderChannel` made, and whose signature is to come. Throws a UserError with code `channel-malformed`. */
export function parseUnsigned(text: string): { readonly content: BundleChannel; readonly publicKey: string } {
  const { signature, ...content } = parseChannel(`${text}sig AA==\nsshsig AA==\n`)
  if (content.kind !== 'bundle') throw malformed('it is the channel of an image')
  return { content, publicKey: signature.key }
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
  if (channel.kind === 'bundle' && channel.revoke?.includes(channel.signature.key) === true) {
    throw new UserError(`${label} is signed by a key that it revokes`, { code: 'channel-untrusted' })
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
  if (isChannelWord(name)) return
  throw new UserError(`'${name}' is no name for a channel`, {
    hint: 'use lower-case letters, digits, dot, _ and -, a letter or digit first, at most 64 characters',
    exitCode: 2,
  })
}

/** A time as a channel writes it. */
export function channelTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}

function channelOf(kind: ChannelContent['kind'], lines: ChannelLines): SignedChannel {
  const word = (name: string, index = 0) => lines.get(name)?.[0]?.[index] ?? ''
  const shared = {
    recipe: word('recipe'),
    channel: word('channel'),
    serial: Number(word('serial')),
    published: word('published'),
  }
  const signature = { key: word('key'), sig: word('sig') }
  if (kind === 'image') {
    return { kind, ...shared, image: word('image'), manifest: digestOf(word('manifest')), signature }
  }
  return {
    kind,
    ...shared,
    bundle: digestOf(word('bundle')),
    bundleBytes: Number(word('bundle', 1)),
    agent: digestOf(word('agent')),
    expires: Number(word('expires')),
    ...rolloutOf(lines),
    ...keyChangesOf(lines),
    signature: { ...signature, sshsig: word('sshsig') },
  }
}

function rolloutOf(lines: ChannelLines): { readonly rollout?: Rollout } {
  const [bundle = '', bundleBytes, percent, id = ''] = lines.get('rollout')?.[0] ?? []
  const tags = lines.get('rollout-tags')?.[0]?.[0]?.split(',') ?? []
  if (bundle === '') {
    if (tags.length > 0) throw malformed('it has tags of a rollout, and no rollout')
    return {}
  }
  return { rollout: { bundle: digestOf(bundle), bundleBytes: Number(bundleBytes), percent: Number(percent), id, tags } }
}

function keyChangesOf(lines: ChannelLines): Pick<BundleChannel, 'trust' | 'revoke'> {
  const trust = (lines.get('trust') ?? []).map(([key = '', notBefore]) => ({ key, notBefore: Number(notBefore) }))
  const revoke = (lines.get('revoke') ?? []).map(([key = '']) => key)
  if (new Set([...trust.map(({ key }) => key), ...revoke]).size !== trust.length + revoke.length) {
    throw malformed('it names a key twice')
  }
  return { ...(trust.length === 0 ? {} : { trust }), ...(revoke.length === 0 ? {} : { revoke }) }
}

function digestOf(word: string): Sha256 {
  if (!isSha256(word)) throw malformed(`'${word}' is no sha256`)
  return word
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
