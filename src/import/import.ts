import { readFile } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { exitCodes, messageOf, UserError } from '../errors.ts'
import { loadRecipe } from '../recipe/load.ts'
import { tempDir } from '../system/temp.ts'
import { displayPath } from '../util/display-path.ts'
import { Collector } from './collector.ts'
import { detectFormat } from './format.ts'
import { unpacked } from './mime.ts'
import type { Imported, ImportFormat, SourceText } from './model.ts'
import { addPacker } from './packer/import.ts'
import { recipeText } from './recipe-text.ts'
import { slug } from './slug.ts'
import { addCloudConfig, addMime, addUserScript } from './user-data.ts'
import { checkFolder, writeRecipe } from './write.ts'

export interface ImportRequest {
  readonly file: string
  /** Default: told from the content. */
  readonly format?: ImportFormat
  /** Default: the recipe's name, below the working directory. */
  readonly folder?: string
  /** Default: from the name of the folder, else of the file. */
  readonly name?: string
  /** Replace what the folder holds. */
  readonly force?: boolean
  /** Write nothing. */
  readonly dryRun?: boolean
}

export interface ImportResult extends Imported {
  readonly format: ImportFormat
  readonly name: string
  readonly folder: string
  /** The text of recipe.yaml. */
  readonly recipe: string
}

/**
 * Makes a recipe folder of what somebody already has. Throws UserError: exit code 2 for what cannot be read or holds
 * nothing to do, and for a folder that is in use.
 */
export async function importFile(request: ImportRequest): Promise<ImportResult> {
  const source = await readSource(request.file)
  const format = request.format ?? detectFormat(source)
  const name = slug(request.name ?? nameFrom(request)) || 'imported'
  const folder = request.folder ?? name
  await checkFolder(folder, request.force === true || request.dryRun === true)
  const collector = new Collector()
  await addSource(format, source, request.file, collector)
  const imported = collector.result()
  if (imported.steps.length === 0) {
    throw new UserError(`${source.file} holds nothing that a recipe could do`, {
      problems: imported.notCarried.map(({ at, what, why, hint }) => ({
        message: `${what}: ${why}`,
        location: at,
        ...(hint === undefined ? {} : { hint }),
      })),
      exitCode: exitCodes.usage,
      code: 'import-empty',
    })
  }
  const recipe = recipeText({ name, from: basename(request.file) }, imported)
  await checkRecipe(recipe, imported)
  if (request.dryRun !== true) await writeRecipe(resolve(folder), recipe, imported.files)
  return { ...imported, format, name, folder, recipe }
}

async function addSource(format: ImportFormat, source: SourceText, file: string, to: Collector): Promise<void> {
  if (format === 'cloud-config') addCloudConfig(source, to)
  else if (format === 'shell') addUserScript(source, to)
  else if (format === 'mime') addMime(source, to)
  else await addPacker(source, file, to)
}

async function readSource(file: string): Promise<SourceText> {
  let bytes: Buffer
  try {
    bytes = unpacked(await readFile(file))
  } catch (error) {
    throw new UserError(`cannot read ${file}: ${messageOf(error)}`, { cause: error, exitCode: exitCodes.usage })
  }
  const text = bytes.toString('utf8').replace(/^\uFEFF/, '')
  if (!Buffer.from(text).equals(bytes) && !bytes.subarray(0, 3).equals(Buffer.from('\uFEFF'))) {
    throw new UserError(`${file} is no UTF-8 text`, { exitCode: exitCodes.usage, code: 'import-invalid' })
  }
  return { file: displayPath(resolve(file)), text: text.replaceAll('\r\n', '\n'), line: 1 }
}

/** What the folder is called; without one, `user-data.yaml` gives `user-data`, `web.pkr.hcl` gives `web`. */
function nameFrom({ folder, file }: ImportRequest): string {
  if (folder !== undefined) return basename(resolve(folder))
  const name = basename(file)
    .replace(/\.gz$/, '')
    .replace(/\.(?:pkr\.hcl|pkr\.json)$/, '')
  return basename(name, extname(name))
}

/** What is written must load: reads it back from a folder of its own before anything else is touched. */
async function checkRecipe(recipe: string, { files }: Imported): Promise<void> {
  await using dir = await tempDir('import')
  await writeRecipe(join(dir.path, 'recipe'), recipe, files)
  await loadRecipe(join(dir.path, 'recipe'))
}
