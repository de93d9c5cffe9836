import { basename, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { exitCodes, UserError } from '../errors.ts'
import { initProject } from '../project/init.ts'
import { ciSystems, type CiSystem, type ProjectAnswers } from '../project/scaffold.ts'
import { displayPath } from '../util/display-path.ts'
import { namePattern, nameRule } from '../util/name.ts'
import type { BuildCommand, CommandContext } from './app.ts'

interface Options {
  readonly name?: string
  readonly store?: string
  readonly ci?: CiSystem
  readonly keys: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
}

/** `parbake init [FOLDER]`: a project with a first recipe. */
export const build: BuildCommand = (app) =>
  new Command('init')
    .description('make a project with a first recipe; leaves alone what is there')
    .argument('[folder]', 'new or existing folder', '.')
    .option('--name <name>', 'name of the first recipe (default: that of the folder)', parseName)
    .option('--store <url>', 's3://, minio:// or file:// URL, or a folder (default: a folder of this machine)')
    .addOption(new Option('--ci <system>', 'also write a pipeline that checks and publishes').choices(ciSystems))
    .option('--no-keys', 'make no signing key where there is none')
    .option('-y, --yes', 'ask nothing')
    .option('--dry-run', 'say what would be written, and write nothing')
    .action(async (given: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const folder = resolve(given)
      const answers = await settle(context, folder, options)
      const dryRun = options.dryRun === true
      const result = await initProject(folder, answers, { dryRun })
      if (options.keys && !dryRun) await makeKeys(context, folder)
      const recipe = displayPath(resolve(folder, 'recipes', answers.name))
      const next = [`parbake check ${recipe}`, `parbake publish ${recipe}`, `parbake launch ${recipe}`]
      if (context.json) return context.printJson({ ...result, dryRun, next })
      const shown = (path: string) => displayPath(resolve(folder, path))
      context.print(
        [
          ...result.created.map((path) => `${dryRun ? 'would write' : 'wrote'} ${shown(path)}`),
          ...result.left.map((path) => `left alone ${shown(path)}`),
          ...(dryRun ? [] : ['', 'Next:', ...next.map((line) => `  ${line}`)]),
        ].join('\n'),
      )
    })

/** Asks at a terminal for what no option says; an empty answer takes the default. */
async function settle(context: CommandContext, folder: string, options: Options): Promise<ProjectAnswers> {
  const fallback = nameOf(folder)
  const ask = options.yes !== true && !context.json && process.stdin.isTTY && process.stderr.isTTY
  const { ci } = options
  if (!ask) return { name: options.name ?? fallback, store: storeOf(options.store ?? ''), ci }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const question = (text: string) => terminal.question(text, { signal: context.signal })
    let { name } = options
    while (name === undefined) {
      const answer = (await question(`Name of the first recipe (${fallback}): `)).trim()
      if (answer === '' || namePattern.test(answer)) name = answer === '' ? fallback : answer
      else process.stderr.write(`A name ${nameRule}.\n`)
    }
    const store = options.store ?? (await question('Object store, as a URL (a folder of this machine): ')).trim()
    return { name, store: storeOf(store), ci }
  } finally {
    terminal.close()
  }
}

/** As parbake.yaml takes it: URLs as they are, folders with a `./` that tells them apart. Undefined for an empty text. */
function storeOf(text: string): string | undefined {
  if (text === '') return undefined
  if (/^(?:(?:s3|minio|file):\/\/|[~./])/.test(text)) return text
  if (!text.includes('://')) return `./${text}`
  throw new UserError(`'${text}' is no store`, {
    hint: 's3://, minio:// and file:// URLs are, and folders',
    exitCode: exitCodes.usage,
  })
}

/** The folder's name as near as a recipe can have it. */
function nameOf(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '')
  return namePattern.test(name) ? name : 'web'
}

/** With the configuration of the new project, which says where keys are. */
async function makeKeys(context: CommandContext, folder: string): Promise<void> {
  const [{ loadConfig }, { ensureKeys }] = await Promise.all([import('../load-config.ts'), import('../keys/init.ts')])
  await ensureKeys(await loadConfig(folder), context.reporter)
}

function parseName(text: string): string {
  if (!namePattern.test(text)) throw new InvalidArgumentError(`It ${nameRule}.`)
  return text
}
