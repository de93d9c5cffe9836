import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { Context } from '../context.ts'
import { hasCode, messageOf, UserError } from '../errors.ts'
import { listKeys, loadTrustedKeys } from '../keys/files.ts'
import { chooseKey, signerOfKey } from '../keys/signer.ts'
import type { Recipe } from '../recipe/model.ts'
import { openStore } from '../store/open.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { displayPath } from '../util/display-path.ts'
import { sha256 } from '../util/sha256.ts'
import { loadAgent } from './agent.ts'
import { nextChannel, replaceChannel } from './change-channel.ts'
import { readChannel, type ChannelPlace, type StoredChannel } from './channel-store.ts'
import {
  checkChannelName,
  parseUnsigned,
  renderChannel,
  signMessage,
  verifyChannel,
  type BundleChannel,
} from './channel.ts'
import { parseIndex, type BundleIndex, type IndexStep } from './index-file.ts'
import { packBundle } from './pack.ts'
import { publishDraft, sendObjects, type Published } from './publish.ts'
import { readFromTar } from './tar.ts'

/** What lies in the folder that travels between who publishes and who signs. */
const files = {
  bundle: 'bundle.tar.gz',
  agent: 'agent.sh',
  /** The channel without signatures. */
  unsigned: 'channel.unsigned',
  signed: 'channel.signed',
} as const

export interface PrepareOptions {
  /** The configured one by default. */
  readonly channel?: string
  /** Name of the key that will sign: its .pub file is enough. */
  readonly keyName?: string
}

/** A publish that waits for its signature. */
export interface Prepared {
  readonly folder: string
  readonly channel: BundleChannel
  /** Base64 SPKI DER of the key that is to sign. */
  readonly publicKey: string
  readonly steps: readonly IndexStep[]
}

/**
 * Writes what is to be signed into an empty folder: bundle, agent, and the channel that would name them. Needs no private key.
 * Throws a UserError where the folder is not empty, there would be nothing new, or the channel is not genuine.
 */
export async function preparePublish(
  recipe: Recipe,
  ctx: Context,
  folder: string,
  options: PrepareOptions = {},
): Promise<Prepared> {
  const name = options.channel ?? ctx.config.channel
  checkChannelName(name)
  await needEmpty(folder)
  const bundle = await packBundle(recipe)
  const agent = loadAgent()
  const { channel, publicKey } = await withPlace(ctx, recipe.name, name, async (place, stored) => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const key = publicKeyFor(ctx, stored, options.keyName, nowSeconds)
    const expiryDays = ctx.config.channelExpiryDays
    const draft = publishDraft(stored?.channel, { bundle, agent, expiryDays, key }, nowSeconds)
    if (draft === undefined) {
      throw new UserError(`channel '${name}' of '${recipe.name}' says this already`, {
        hint: 'there is nothing to sign',
        code: 'nothing-new',
      })
    }
    return { channel: nextChannel(place, stored?.channel, draft, { nowSeconds, expiryDays, key }), publicKey: key }
  })
  await writeFileAtomic(join(folder, files.bundle), bundle.bytes)
  await writeFileAtomic(join(folder, files.agent), agent.text)
  await writeFileAtomic(join(folder, files.unsigned), renderChannel(channel, publicKey))
  return { folder, channel, publicKey, steps: parseIndex(bundle.index).steps }
}

/**
 * Signs what `preparePublish` wrote; reads no store and no network. `look` gets what is about to be signed, once it has been
 * checked that bundle and agent are those that the channel names; with `dryRun` that is all. Throws a UserError where they
 * are not, or the key is not here.
 */
export async function signPrepared(
  ctx: Context,
  folder: string,
  options: { readonly keyName?: string; readonly dryRun: boolean; readonly look: (prepared: Prepared) => void },
): Promise<void> {
  const text = (await readPart(folder, files.unsigned)).toString('utf8')
  const { content, publicKey } = parseUnsigned(text)
  const { bundle } = await readObjects(folder, content)
  const index = await readIndex(folder, bundle)
  options.look({ folder, channel: content, publicKey, steps: index.steps })
  if (index.recipe !== content.recipe) {
    throw new UserError(`the bundle is one of '${index.recipe}', and the channel one of '${content.recipe}'`, {
      hint: 'do not sign this: find out who prepared it',
      code: 'prepared-damaged',
    })
  }
  if (options.dryRun) return
  const signed = await signMessage(text, 'bundle', signerOfKey(ctx, publicKey, options.keyName))
  await writeFileAtomic(join(folder, files.signed), signed)
}

/**
 * Uploads what was signed and moves the channel to it. Throws a UserError where the signature or a file is wrong, and where
 * the channel has moved since it was prepared.
 */
export async function publishSigned(ctx: Context, folder: string, dryRun: boolean): Promise<Published> {
  const text = (await readPart(folder, files.signed)).toString('utf8')
  const channel = verifyChannel(text, loadTrustedKeys(ctx.config))
  if (channel.kind !== 'bundle') throw damaged(folder, 'it holds the channel of an image')
  const { bundle, agent } = await readObjects(folder, channel)
  return withPlace(ctx, channel.recipe, channel.channel, async (place, stored) => {
    const { recipe, channel: name, serial } = channel
    const summary = { recipe, channel: name, serial, agent: channel.agent }
    const unchanged = stored?.text === text
    if (!unchanged) refuseMoved(channel, stored)
    const packed = { bytes: bundle, sha256: channel.bundle }
    const sent = await sendObjects(ctx, place.store, recipe, packed, { text: agent, sha256: channel.agent }, dryRun)
    if (!dryRun && !unchanged && !(await replaceChannel(place, stored, text))) throw moved(channel)
    return { ...summary, bundle: channel.bundle, bundleBytes: bundle.length, uploaded: sent, unchanged }
  })
}

async function withPlace<T>(
  ctx: Context,
  recipe: string,
  name: string,
  work: (place: ChannelPlace, stored: StoredChannel | undefined) => Promise<T>,
): Promise<T> {
  const store = await openStore(ctx.config.store)
  try {
    const place = { store, recipe, name, trustedKeys: loadTrustedKeys(ctx.config), signal: ctx.signal }
    return await work(place, await readChannel(place))
  } finally {
    store.close()
  }
}

/** As a publish would choose, but by public keys alone: the private ones are elsewhere. */
function publicKeyFor(
  { config }: Context,
  stored: StoredChannel | undefined,
  keyName: string | undefined,
  nowSeconds: number,
): string {
  const known = listKeys(config)
  const chosen =
    keyName === undefined
      ? (chooseKey(known, stored?.channel, nowSeconds) ??
        (known.length === 1 ? known[0] : known.find(({ name }) => name === 'default')))
      : known.find(({ name }) => name === keyName)
  if (chosen !== undefined) return chosen.publicKey
  throw new UserError(`which key will sign cannot be told from ${config.keysDir}`, {
    hint: 'put its .pub file there, and name it with --key where there are several',
    exitCode: 2,
    code: 'no-signing-key',
  })
}

async function needEmpty(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length === 0) return
  throw new UserError(`${displayPath(folder)} is not empty`, {
    hint: 'what is to be signed goes into a folder of its own',
    exitCode: 2,
  })
}

/** Bundle and agent, as long as they are those that the channel names. */
async function readObjects(
  folder: string,
  channel: BundleChannel,
): Promise<{ readonly bundle: Buffer; readonly agent: string }> {
  const bundle = await readPart(folder, files.bundle)
  const agent = await readPart(folder, files.agent)
  if (sha256(bundle) !== channel.bundle || bundle.length !== channel.bundleBytes) {
    throw damaged(folder, `${files.bundle} is not the bundle that the channel names`)
  }
  if (sha256(agent) !== channel.agent) throw damaged(folder, `${files.agent} is not the agent that the channel names`)
  return { bundle, agent: agent.toString('utf8') }
}

async function readIndex(folder: string, bundle: Buffer): Promise<BundleIndex> {
  try {
    const index = await readFromTar(await promisify(gunzip)(bundle), 'index')
    return parseIndex(index?.toString('utf8') ?? '')
  } catch (error) {
    if (error instanceof UserError) throw error
    throw damaged(folder, `${files.bundle} is no bundle: ${messageOf(error)}`)
  }
}

async function readPart(folder: string, file: string): Promise<Buffer> {
  try {
    return await readFile(join(folder, file))
  } catch (error) {
    if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) throw error
    const first = file === files.signed ? `'parbake sign ${displayPath(folder)}'` : `'parbake publish --prepare'`
    throw new UserError(`there is no ${file} in ${displayPath(folder)}`, { hint: `run ${first} first`, exitCode: 2 })
  }
}

function refuseMoved(channel: BundleChannel, stored: StoredChannel | undefined): void {
  if ((stored?.channel.serial ?? 0) !== channel.serial - 1) throw moved(channel)
}

function moved({ recipe, channel, serial }: BundleChannel): UserError {
  return new UserError(`channel '${channel}' of '${recipe}' has moved since this was prepared for serial ${serial}`, {
    hint: 'nothing was changed: prepare and sign it again',
    code: 'channel-moved',
  })
}

function damaged(folder: string, what: string): UserError {
  return new UserError(`${displayPath(folder)} is not as it was prepared: ${what}`, {
    hint: 'prepare it again; where it has travelled, find out who changed it',
    code: 'prepared-damaged',
  })
}
