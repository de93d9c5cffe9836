import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exitCodes, hasCode, messageOf, UserError } from '../errors.ts'
import type { ImportedFile } from './model.ts'

/** Throws UserError (exit code 2) where the folder is not free to be written to. */
export async function checkFolder(folder: string, force: boolean): Promise<void> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw new UserError(`cannot write to ${folder}: ${messageOf(error)}`, { cause: error, exitCode: exitCodes.usage })
  }
  if (names.length === 0 || force) return
  throw new UserError(`the folder ${folder} is not empty`, {
    hint: 'choose another with --output, or replace its recipe.yaml, scripts and files with --force',
    exitCode: exitCodes.usage,
    code: 'import-folder',
  })
}

/** Writes a recipe folder; what an earlier import wrote there goes first. Throws UserError where that fails. */
export async function writeRecipe(folder: string, recipe: string, files: readonly ImportedFile[]): Promise<void> {
  try {
    for (const name of ['recipe.yaml', 'scripts', 'files'])
      await rm(join(folder, name), { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    for (const { path, content, executable } of files) {
      const target = join(folder, path)
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, content)
      if (executable) await chmod(target, 0o755)
    }
    await writeFile(join(folder, 'recipe.yaml'), recipe)
  } catch (error) {
    throw new UserError(`cannot write the recipe to ${folder}: ${messageOf(error)}`, { cause: error })
  }
}
