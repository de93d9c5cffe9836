import { sign } from 'node:crypto'
import type { BundleChannel, SignedChannel, Signer, SigningKey } from '../bundle/channel.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { commandSigner } from './command-signer.ts'
import { listKeys, loadSigningKey, loadTrustedKeys, signingKeyVariable, type KeyEntry } from './files.ts'

export interface Signers {
  /** Base64 SPKI DER: what signs, and every key that is trusted besides. */
  readonly trustedKeys: readonly string[]
  /** What is to sign the next text of a channel. Throws a UserError where no key can be told to be the right one. */
  readonly choose: (current: SignedChannel<BundleChannel> | undefined, nowSeconds: number) => Signer
}

/**
 * What this machine signs with: the key of that name, else PARBAKE_SIGNING_KEY, else the command of parbake.yaml, else of the
 * keys folder what a rotation has come to. Throws a UserError (exit code 2) where there is nothing to sign with.
 */
export function loadSigners(ctx: Pick<Context, 'config' | 'signal'>, keyName?: string): Signers {
  const { config, signal } = ctx
  const trusted = (own: readonly string[]) => [...new Set([...loadTrustedKeys(config), ...own])]
  const always = (signer: Signer): Signers => ({ trustedKeys: trusted([signer.publicKey]), choose: () => signer })
  if (keyName !== undefined) return always(signerOf(loadSigningKey(config, { name: keyName })))
  if (process.env[signingKeyVariable] !== undefined) return always(signerOf(loadSigningKey(config)))
  if (config.signing !== undefined) return always(commandSigner(config.signing, config.keysDir, signal))
  const own = listKeys(config).filter((key) => key.privateFile !== undefined)
  // Also where none of several is the default: a channel may tell.
  if (own.length < 2) return always(signerOf(loadSigningKey(config)))
  return {
    trustedKeys: trusted([]),
    choose: (current, nowSeconds) => {
      const name = chooseKey(own, current, nowSeconds)?.name
      return signerOf(loadSigningKey(config, name === undefined ? {} : { name }))
    },
  }
}

/**
 * Which of several keys signs a channel next: the one that it introduced last and that hosts accept by now, else the one
 * that signed it; undefined where the channel does not tell. Pure.
 */
export function chooseKey(
  own: readonly KeyEntry[],
  current: SignedChannel<BundleChannel> | undefined,
  nowSeconds: number,
): KeyEntry | undefined {
  if (current === undefined) return undefined
  const introduced = (current.trust ?? []).filter(({ notBefore }) => notBefore <= nowSeconds).toReversed()
  const wanted = [...introduced.map(({ key }) => key), current.signature.key]
  for (const publicKey of wanted) {
    const key = own.find((each) => each.publicKey === publicKey)
    if (key !== undefined) return key
  }
  return undefined
}

/**
 * What signs with a given public key on this machine. Throws a UserError (exit code 2) where its private half is not here.
 */
export function signerOfKey(ctx: Pick<Context, 'config' | 'signal'>, publicKey: string, keyName?: string): Signer {
  const { config, signal } = ctx
  const name =
    keyName ?? listKeys(config).find((key) => key.publicKey === publicKey && key.privateFile !== undefined)?.name
  const signer =
    name === undefined && process.env[signingKeyVariable] === undefined && config.signing !== undefined
      ? commandSigner(config.signing, config.keysDir, signal)
      : signerOf(loadSigningKey(config, name === undefined ? {} : { name }))
  if (signer.publicKey === publicKey) return signer
  throw new UserError(`the key that is here is not the one that is to sign: ${publicKey}`, {
    hint: `prepare it for this key with --key, or sign where that one is`,
    exitCode: 2,
    code: 'no-signing-key',
  })
}

/** A key at hand as what signs. */
export function signerOf({ publicKey, privateKey }: SigningKey): Signer {
  return { publicKey, privateKey, sign: async (message) => sign(null, message, privateKey) }
}

/** Throws a UserError where hosts that follow this channel do not accept the key (yet). */
export function checkAccepted(channel: SignedChannel<BundleChannel>, publicKey: string, nowSeconds: number): void {
  if (channel.signature.key === publicKey) return
  const introduced = channel.trust?.find(({ key }) => key === publicKey)
  if (introduced !== undefined && introduced.notBefore <= nowSeconds) return
  const when =
    introduced === undefined
      ? `its hosts were never told to trust that key`
      : `its hosts accept that key from ${new Date(introduced.notBefore * 1000).toISOString().slice(0, 19)}Z on`
  throw new UserError(`channel '${channel.channel}' of '${channel.recipe}' cannot be signed by ${publicKey}: ${when}`, {
    hint: introduced === undefined ? `introduce it first: parbake keys rotate` : 'wait until then',
    code: 'key-not-accepted',
  })
}
