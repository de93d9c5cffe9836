import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatUserError, UserError, type Problem } from '../../src/errors.ts'
import { inspectRecipe } from '../../src/recipe/load.ts'
import { tempDir } from '../../src/system/temp.ts'

/** File contents by path; a path that ends with `*` is executable. */
export type Tree = Readonly<Record<string, string | Buffer>>

export async function writeTree(folder: string, tree: Tree): Promise<void> {
  for (const [name, content] of Object.entries(tree)) {
    const path = join(folder, name.replace(/\*$/, ''))
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    await chmod(path, name.endsWith('*') ? 0o755 : 0o644)
  }
}

/** A recipe folder named `web` in a folder of its own, removed when disposed. */
export async function recipeFolder(tree: Tree): Promise<{ readonly path: string } & AsyncDisposable> {
  const dir = await tempDir('recipe-test')
  const path = join(dir.path, 'web')
  await mkdir(path)
  await writeTree(path, tree)
  return { path, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

/** Problems as a user sees them, with the recipe folder's path cut off. */
export function render(problems: readonly Problem[], folder: string): string {
  const text = formatUserError(new UserError('end', { problems }))
  return text.replaceAll(`${folder}/`, '').replace(/\n?end$/, '')
}

/** All that is wrong with a recipe of these files, as a user sees it; '' where nothing is. */
export async function findings(tree: Tree | string): Promise<string> {
  await using folder = await recipeFolder(typeof tree === 'string' ? { 'recipe.yaml': tree } : tree)
  const result = await inspectRecipe(folder.path)
  return result.ok ? '' : render(result.problems, folder.path)
}
