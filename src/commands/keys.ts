import { Command } from 'commander'
import { UserError } from '../errors.ts'
import { initKeys } from '../keys/init.ts'
import type { ListedKey } from '../keys/list.ts'
import type { RotatedChannel, Rotation } from '../keys/rotate.ts'
import { parseDuration } from '../util/duration.ts'
import type { App, BuildCommand } from './app.ts'

/** `parbake keys init | list | rotate | revoke`. */
export const build: BuildCommand = (app) =>
  new Command('keys')
    .description('Make and list the keys that sign what hosts run')
    .addCommand(buildInit(app))
    .addCommand(buildList(app))
    .addCommand(buildRotate(app))
    .addCommand(buildRevoke(app))

function buildInit(app: App): Command {
  return new Command('init')
    .description('Make an Ed25519 key pair; an existing one is never overwritten')
    .option('--name <name>', 'name of the new key', 'default')
    .action(async (options: { name: string }, command: Command) => {
      const context = await app.open(command)
      const key = await initKeys(context.config, options.name, context.reporter)
      if (context.json) {
        context.printJson(key)
        return
      }
      context.print(
        `private key  ${key.privateFile}  (keep it safe: it can make every host run anything)\n` +
          `public key   ${key.publicFile}\n` +
          `             ${key.publicKey}`,
      )
    })
}

function buildList(app: App): Command {
  return new Command('list')
    .description('List the keys that hosts trust, and what the channels of the store say about each')
    .action(async (_options: unknown, command: Command) => {
      const context = await app.open(command)
      const { listKeysWithUses } = await import('../keys/list.ts')
      const keys = await listKeysWithUses(context)
      if (context.json) {
        context.printJson({
          keysDir: context.config.keysDir,
          keys: keys.map((key) => ({ ...key, canSign: key.privateFile !== undefined })),
        })
        return
      }
      if (keys.length === 0) {
        context.reporter.emit({ type: 'note', text: `no keys in ${context.config.keysDir}: run 'parbake keys init'` })
        return
      }
      const width = Math.max(...keys.map((key) => key.name.length))
      for (const key of keys) {
        const use = key.privateFile === undefined ? 'trust only' : 'signs     '
        context.print(`${key.name.padEnd(width)}  ${use}  ${key.publicKey}${usesText(key)}`)
      }
    })
}

function usesText({ uses = [] }: ListedKey): string {
  return uses
    .map(({ recipe, channel, state, notBefore }) => {
      const since = notBefore === undefined ? '' : ` from ${dateText(notBefore)} on`
      return `\n  ${recipe}/${channel}: ${state}${since}`
    })
    .join('')
}

interface RotateFlags {
  readonly name?: string
  readonly notBefore: number
  readonly key?: string
  readonly dryRun?: boolean
}

function buildRotate(app: App): Command {
  return new Command('rotate')
    .description('Introduce a new key in every channel; run again after --not-before, it signs every channel with it')
    .option('--name <name>', 'name of the new key (default: the one under way, else key-<date>)')
    .option(
      '--not-before <time>',
      'hosts accept it from then on: a duration from now, or a date',
      timeOption,
      timeOption('7d'),
    )
    .option('--key <name>', 'key that signs until then, where there are several')
    .option('--dry-run', 'look and say, but write nothing')
    .action(async (flags: RotateFlags, command: Command) => {
      const context = await app.open(command)
      const { rotateKeys } = await import('../keys/rotate.ts')
      const rotation = await rotateKeys(context, {
        ...(flags.name === undefined ? {} : { name: flags.name }),
        ...(flags.key === undefined ? {} : { keyName: flags.key }),
        notBefore: flags.notBefore,
        dryRun: flags.dryRun === true,
      })
      if (context.json) context.printJson(rotation)
      else context.print(rotationText(rotation))
    })
}

function rotationText({ name, publicKey, made, channels, images, dryRun }: Rotation): string {
  const next = channels.some(({ step }) => step === 'introduced' || step === 'waiting')
    ? `next: give new hosts user-data made from now on, which trusts both keys; then run this again after that time`
    : `next: parbake keys revoke the old key`
  return [
    `key ${name}${made ? (dryRun ? ' would be made' : ' is new') : ''}${dryRun && made ? '' : `: ${publicKey}`}`,
    ...channels.map(channelText),
    ...images.map(({ recipe, channel }) => `  the image of ${recipe}/${channel} is signed with it`),
    channels.length === 0 ? 'there is no channel in the store yet: new hosts trust it from the start' : next,
  ].join('\n')
}

function channelText({ recipe, channel, step, serial, notBefore, untold }: RotatedChannel): string {
  const what = {
    introduced: `introduces it at serial ${serial}, hosts accept it from ${dateText(notBefore)} on`,
    waiting: `introduces it, hosts accept it from ${dateText(notBefore)} on`,
    signed: `is signed with it from serial ${serial} on`,
    done: 'is signed with it',
  }[step]
  const deaf = untold.length === 0 ? '' : `; ${untold.length} hosts have not reported since it was introduced`
  return `  ${recipe}/${channel} ${what}${deaf}`
}

interface RevokeFlags {
  readonly key?: string
  readonly force?: boolean
  readonly dryRun?: boolean
}

function buildRevoke(app: App): Command {
  return new Command('revoke')
    .description('Tell all hosts never to trust a key again, signed by another one that they accept')
    .argument('<key>', 'name in the keys folder, or the public key')
    .option('--key <name>', 'key that signs the revocation, where there are several')
    .option('--force', 'although some hosts may not know the key that signs from now on')
    .option('--dry-run', 'look and say, but write nothing')
    .action(async (key: string, flags: RevokeFlags, command: Command) => {
      const context = await app.open(command)
      const { revokeKey } = await import('../keys/revoke.ts')
      const result = await revokeKey(context, {
        key,
        ...(flags.key === undefined ? {} : { keyName: flags.key }),
        force: flags.force === true,
        dryRun: flags.dryRun === true,
      })
      if (context.json) {
        context.printJson(result)
        return
      }
      const is = result.dryRun ? 'would be' : 'is'
      context.print(
        [
          `${result.publicKey} ${is} revoked`,
          ...result.channels.map(({ recipe, channel, serial }) => `  ${recipe}/${channel} at serial ${serial}`),
          ...result.setAside.map((file) => `set aside: ${file}`),
        ].join('\n'),
      )
    })
}

/** Unix seconds of `7d` from now or of a date. */
function timeOption(text: string): number {
  const now = Math.floor(Date.now() / 1000)
  const seconds = parseDuration(text, 's')
  if (seconds !== undefined) return now + Math.round(seconds)
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return Math.floor(ms / 1000)
  throw new UserError(`'${text}' is no time for --not-before`, {
    hint: 'write a duration from now, e.g. 7d or 0s, or a date, e.g. 2027-01-31',
    exitCode: 2,
  })
}

function dateText(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
