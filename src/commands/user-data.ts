import { Command, InvalidArgumentError, Option } from 'commander'
import type { HostAuth } from '../config.ts'
import { UserError } from '../errors.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { makeUserData } from '../user-data/make.ts'
import { readRecipeHeader } from '../user-data/recipe-header.ts'
import type { UserData, UserDataFormat } from '../user-data/render.ts'
import { targetNames, type TargetName } from '../user-data/targets.ts'
import { namePattern, nameRule } from '../util/name.ts'
import type { BuildCommand, CommandContext } from './app.ts'

interface Options {
  readonly target: TargetName
  readonly format?: UserDataFormat
  readonly output?: string
  readonly auth?: HostAuth
  readonly endpoint?: string
  readonly channel?: string
  readonly tags?: readonly string[]
}

const auths: readonly HostAuth[] = ['static', 'instance-role', 'presigned', 'anonymous']
const formats: readonly UserDataFormat[] = ['text', 'gzip']

/** `parbake user-data RECIPE`. */
export const build: BuildCommand = (app) =>
  new Command('user-data')
    .description('Print the cloud-init document that makes a fresh machine provision itself')
    .argument('<recipe>', 'recipe folder, or the name of a published recipe')
    .addOption(new Option('--target <name>', 'where the machine runs').choices(targetNames).default('nocloud'))
    .addOption(
      new Option('--auth <way>', 'how hosts authenticate to the store (default: hosts.auth of parbake.yaml)').choices(
        auths,
      ),
    )
    .addOption(
      new Option(
        '--format <format>',
        'text, or gzip as a whole (default: text where it fits with room to spare)',
      ).choices(formats),
    )
    .option('--endpoint <url>', 'the store as hosts reach it: http(s)://host[:port]/bucket[/prefix]')
    .option('--channel <name>', 'channel that hosts follow')
    .option('--tags <a,b>', 'what hosts are told that they are (default: hosts.tags of parbake.yaml)', tagList)
    .option('-o, --output <file>', 'write the document to a file (mode 0600) instead of stdout')
    .action(async (recipe: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const header = await readRecipeHeader(recipe)
      if (!header.fromFolder) {
        context.reporter.emit({
          type: 'note',
          text: `no folder '${recipe}': taking it as the name of a published recipe`,
        })
      }
      const userData = await makeUserData({
        recipeName: header.name,
        everyMinutes: header.everyMinutes,
        config: context.config,
        target: options.target,
        overrides: {
          ...(options.auth === undefined ? {} : { auth: options.auth }),
          ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
          ...(options.channel === undefined ? {} : { channel: options.channel }),
          ...(options.tags === undefined ? {} : { tags: options.tags }),
        },
        trustedKeys: loadTrustedKeys(context.config),
        ...(options.format === undefined ? {} : { gzip: options.format === 'gzip' }),
        reporter: context.reporter,
      })
      if (userData.format === 'gzip' && options.format === undefined) {
        context.reporter.emit({
          type: 'note',
          text: `compressed as a whole, ${userData.sizeBytes} of ${userData.limitBytes} bytes: as text it would leave no room`,
        })
      }
      await handOver(context, userData, options)
    })

/** Reads `a,b`; an empty text stands for no tags. */
function tagList(text: string): readonly string[] {
  const tags = [...new Set(text === '' ? [] : text.split(','))].toSorted()
  const wrong = tags.find((tag) => !namePattern.test(tag))
  if (wrong !== undefined) throw new InvalidArgumentError(`a tag ${nameRule}, but one is '${wrong}'`)
  return tags
}

async function handOver(context: CommandContext, userData: UserData, options: Options): Promise<void> {
  const { output } = options
  if (output !== undefined) await save(context, output, userData.bytes)
  if (context.json) {
    const { format, text, bytes, sizeBytes, limitBytes, parts } = userData
    const base64 = format === 'gzip' ? { gzipBase64: bytes.toString('base64') } : {}
    context.printJson({ format, userData: text, ...base64, sizeBytes, limitBytes, parts })
  } else if (output === undefined) {
    const unreadable = userData.format === 'gzip' && process.stdout.isTTY
    if (unreadable && options.format === 'gzip') {
      throw new UserError('the compressed document is no text for a terminal', {
        hint: 'add --output FILE',
        exitCode: 2,
      })
    }
    // Who looks wants to read; who pipes or saves it gets what a machine is to get.
    process.stdout.write(unreadable ? userData.text : userData.bytes)
  }
}

async function save(context: CommandContext, file: string, bytes: Buffer): Promise<void> {
  try {
    // It may hold a secret key.
    await writeFileAtomic(file, bytes, 0o600)
  } catch (error) {
    throw new UserError(`cannot write ${file}`, { hint: 'choose another --output', cause: error })
  }
  context.reporter.emit({ type: 'note', text: `wrote ${file}: ${bytes.length} bytes` })
}
