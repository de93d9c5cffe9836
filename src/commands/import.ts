import { Command, Option } from 'commander'
import { exitCodes, UserError } from '../errors.ts'
import { importFile, type ImportResult } from '../import/import.ts'
import { importFormats, type ImportFormat } from '../import/model.ts'
import { renderImport } from '../import/render.ts'
import { loadTrustedKeys } from '../keys/files.ts'
import { terminalStyle } from '../report/table.ts'
import type { BuildCommand, CommandContext } from './app.ts'

interface Options {
  readonly output?: string
  readonly format: ImportFormat | 'auto'
  readonly name?: string
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly strict?: boolean
}

/** `parbake import FILE`. */
export const build: BuildCommand = (app) =>
  new Command('import')
    .description('Make a recipe of a cloud-config, a shell script, MIME user-data or a Packer template')
    .argument('<file>', 'what there is')
    .option('-o, --output <folder>', "folder of the recipe (default: the recipe's name)")
    .addOption(new Option('--format <format>', 'what the file is').choices(['auto', ...importFormats]).default('auto'))
    .option('--name <name>', 'name of the recipe (default: as the folder or the file is called)')
    .option('--dry-run', 'write nothing; print recipe.yaml')
    .option('--force', 'replace recipe.yaml, scripts and files in a folder that is not empty')
    .option('--strict', 'fail where anything is not carried over')
    .action(async (file: string, options: Options, command: Command) => {
      const context = await app.open(command)
      const { format, name, output, force, dryRun } = options
      const result = await importFile({
        file,
        ...(format === 'auto' ? {} : { format }),
        ...(name === undefined ? {} : { name }),
        ...(output === undefined ? {} : { folder: output }),
        ...(force === true ? { force } : {}),
        ...(dryRun === true ? { dryRun } : {}),
      })
      tell(context, result, options)
      const lost = result.notCarried.length
      if (options.strict === true && lost > 0) {
        throw new UserError(`${lost} ${lost === 1 ? 'thing was' : 'things were'} not carried over`, {
          exitCode: exitCodes.failed,
          code: 'import-incomplete',
        })
      }
    })

function tell(context: CommandContext, result: ImportResult, { dryRun }: Options): void {
  const { folder, format, name, recipe, steps, params, carried, notCarried, files } = result
  if (context.json) {
    context.printJson({
      ...{ name, folder, format, written: dryRun !== true },
      steps: steps.map((step) => step.name),
      params: params.map((param) => param.name),
      files: ['recipe.yaml', ...files.map(({ path }) => path)],
      carried: carried.map(flat),
      notCarried: notCarried.map(flat),
      ...(dryRun === true ? { recipe } : {}),
    })
    return
  }
  process.stderr.write(`${renderImport(result, terminalStyle(process.stderr))}\n\n`)
  if (dryRun === true) {
    context.print(recipe)
    return
  }
  const count = `${steps.length} ${steps.length === 1 ? 'step' : 'steps'}`
  const lost = notCarried.length === 0 ? 'all carried over' : `${notCarried.length} not carried over`
  const next = [
    `check ${folder}`,
    ...(loadTrustedKeys(context.config).length === 0 ? ['keys init'] : []),
    ...[`publish ${folder}`, `launch ${folder}`],
  ].map((words) => `parbake ${words}`)
  context.reporter.emit({ type: 'note', text: `${folder}: ${count}, ${lost}; next: ${next.join(' && ')}` })
}

function flat<T extends { readonly at: { readonly file: string; readonly line?: number } }>({ at, ...rest }: T) {
  return { file: at.file, line: at.line, ...rest }
}
