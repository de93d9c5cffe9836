import { readFile } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { HostAuth } from '../config.ts'
import { UserError } from '../errors.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { makeUserData } from '../user-data/make.ts'
import { outputForms, type OutputForm } from '../user-data/output-forms.ts'
import { readRecipeHeader } from '../user-data/recipe-header.ts'
import type { UserData, UserDataFormat } from '../user-data/render.ts'
import { targetNames, type TargetName } from '../user-data/targets.ts'
import { namePattern, nameRule } from '../util/name.ts'
import { shQuote } from '../util/sh-quote.ts'
import type { BuildCommand, CommandContext } from './app.ts'

interface Options {
  readonly target: TargetName
  readonly format?: UserDataFormat
  readonly output?: string
  readonly auth?: HostAuth
  readonly endpoint?: string
  readonly channel?: string
  readonly tags?: readonly string[]
  readonly outputFormat: OutputForm
  readonly explain?: boolean
  readonly seed?: string
  readonly seedUrl?: string
  readonly instanceId?: string
  readonly hostname?: string
  readonly networkConfig?: string
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
    .addOption(
      new Option('--output-format <form>', 'the document itself, in base64, or as the platform takes it')
        .choices(outputForms)
        .default('raw'),
    )
    .option('-o, --output <file>', 'write to a file (mode 0600) instead of stdout')
    .option('--explain', 'show what is in the document and how many bytes each part takes')
    .option('--seed <path>', 'write a NoCloud seed: an image where the path ends in .iso, else a folder to serve')
    .option('--seed-url <url>', 'where the folder is served (default: http://10.0.2.2:8000/)')
    .option('--instance-id <id>', 'of the seed (default: a new one)')
    .option('--hostname <name>', 'of the seed (default: from the recipe and the instance id)')
    .option('--network-config <file>', "cloud-init's network-config for the seed")
    .action(async (recipe: string, options: Options, command: Command) => {
      checkCombination(options)
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
      if (options.seed !== undefined) await seed(context, header.name, userData, options.seed, options)
      else if (options.explain === true) await explain(context, header.name, userData)
      else await handOver(context, header.name, userData, options)
    })

function checkCombination(options: Options): void {
  const { seedUrl, instanceId, hostname, networkConfig, output, outputFormat } = options
  const seeds = options.seed !== undefined
  const ofSeeds = [seedUrl, instanceId, hostname, networkConfig].some((value) => value !== undefined)
  const ways = [seeds, options.explain === true, output !== undefined || outputFormat !== 'raw']
  const rules: readonly (readonly [broken: boolean, rule: string])[] = [
    [ofSeeds && !seeds, '--seed-url, --instance-id, --hostname and --network-config go with --seed'],
    [seeds && options.target !== 'nocloud', '--seed is for --target nocloud'],
    [ways.filter(Boolean).length > 1, '--seed, --explain and --output or --output-format exclude each other'],
  ]
  const broken = rules.find(([isBroken]) => isBroken)
  if (broken !== undefined) throw new UserError(broken[1], { exitCode: 2 })
}

/** Prints the arguments for QEMU on stdout. */
async function seed(
  context: CommandContext,
  recipe: string,
  userData: UserData,
  path: string,
  options: Options,
): Promise<void> {
  const { instanceId, hostname, networkConfig, seedUrl } = options
  const { writeSeed } = await import('../user-data/seed.ts')
  const written = await writeSeed(
    path,
    {
      recipe,
      userData,
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(hostname === undefined ? {} : { hostname }),
      ...(networkConfig === undefined ? {} : { networkConfig: await readText(networkConfig) }),
      ...(seedUrl === undefined ? {} : { url: seedUrl }),
    },
    context,
  )
  if (context.json) {
    context.printJson(written)
    return
  }
  const what = written.kind === 'iso' ? 'an image' : 'a folder to be served'
  context.reporter.emit({ type: 'note', text: `wrote ${path}, ${what}: ${written.hostname}, ${written.instanceId}` })
  const [option, value] = written.qemu
  context.print(`${option} ${shQuote(value)}`)
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new UserError(`cannot read ${file}`, { hint: 'choose another --network-config', exitCode: 2, cause: error })
  }
}

async function explain(context: CommandContext, recipe: string, userData: UserData): Promise<void> {
  if (context.json) {
    const { bytes: _bytes, text: _text, ...facts } = userData
    context.printJson({ ...facts, settings: facts.settings.map(([name, shown]) => ({ name, shown })) })
    return
  }
  const { explainUserData } = await import('../user-data/explain.ts')
  context.print(explainUserData(recipe, userData))
}

/** Reads `a,b`; an empty text stands for no tags. */
function tagList(text: string): readonly string[] {
  const tags = [...new Set(text === '' ? [] : text.split(','))].toSorted()
  const wrong = tags.find((tag) => !namePattern.test(tag))
  if (wrong !== undefined) throw new InvalidArgumentError(`a tag ${nameRule}, but one is '${wrong}'`)
  return tags
}

async function handOver(context: CommandContext, recipe: string, userData: UserData, options: Options): Promise<void> {
  const { output, outputFormat } = options
  // The usual case needs none of what the other forms load.
  const asItIs = outputFormat === 'raw' && userData.encoding === 'none'
  const form = asItIs
    ? userData.bytes
    : (await import('../user-data/output.ts')).formatOutput(outputFormat, recipe, userData)
  if (output !== undefined) await save(context, output, form)
  if (context.json) {
    const { target, format, text, bytes, sizeBytes, limitBytes, parts } = userData
    const base64 = format === 'gzip' ? { gzipBase64: bytes.toString('base64') } : {}
    const shown = typeof form === 'string' ? { output: form } : {}
    context.printJson({ target, format, userData: text, ...base64, ...shown, sizeBytes, limitBytes, parts })
  } else if (output === undefined) {
    const unreadable = typeof form !== 'string' && userData.format === 'gzip' && process.stdout.isTTY
    if (unreadable && options.format === 'gzip') {
      throw new UserError('the compressed document is no text for a terminal', {
        hint: 'add --output FILE, or --output-format base64',
        exitCode: 2,
      })
    }
    // Who looks wants to read; who pipes or saves it gets what a machine is to get.
    process.stdout.write(unreadable ? userData.text : form)
  }
}

async function save(context: CommandContext, file: string, bytes: Buffer | string): Promise<void> {
  try {
    // It may hold a secret key.
    await writeFileAtomic(file, bytes, 0o600)
  } catch (error) {
    throw new UserError(`cannot write ${file}`, { hint: 'choose another --output', cause: error })
  }
  context.reporter.emit({ type: 'note', text: `wrote ${file}: ${Buffer.byteLength(bytes)} bytes` })
}
