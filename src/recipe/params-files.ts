import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, hasCode, messageOf, UserError, type Problem } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { suggestion } from '../util/nearest.ts'
import { parseYaml } from '../util/yaml.ts'
import { givenInFile, type GivenParams } from './params.ts'

/** The folder, in that of the recipe, with one file of parameters for each environment. */
const environmentsFolder = 'params'

/** The parameters of an environment: `params/<name>.yaml` beside recipe.yaml. Throws UserError (exit code 2). */
export async function readEnvironment(folder: string, name: string, problems: Problem[]): Promise<GivenParams> {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name)) {
    throw new UserError(`'${name}' is no name of an environment`, {
      hint: `it is the name of a file in ${environmentsFolder}/ without .yaml: letters, digits, dots, _ and -`,
      exitCode: exitCodes.usage,
    })
  }
  const file = join(folder, environmentsFolder, `${name}.yaml`)
  const found = await readParamsFile(file, problems)
  if (found !== undefined) return found
  const entries = await readdir(join(folder, environmentsFolder)).catch(() => [])
  const names = entries.flatMap((entry) => (entry.endsWith('.yaml') ? [entry.slice(0, -'.yaml'.length)] : []))
  throw new UserError(`there is no environment '${name}': ${displayPath(file)} does not exist`, {
    hint: suggestion(name, names.toSorted()) ?? 'write the parameters of that environment there, as name: value',
    exitCode: exitCodes.usage,
  })
}

/** The parameters of a file that is named on the command line. Throws UserError (exit code 2) where it is not there. */
export async function readGivenFile(file: string, problems: Problem[]): Promise<GivenParams> {
  const found = await readParamsFile(file, problems)
  if (found !== undefined) return found
  throw new UserError(`there is no file of parameters ${displayPath(file)}`, { exitCode: exitCodes.usage })
}

/** Undefined where there is no such file. */
async function readParamsFile(file: string, problems: Problem[]): Promise<GivenParams | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw new UserError(`cannot read ${displayPath(file)}: ${messageOf(error)}`, { exitCode: exitCodes.usage })
  }
  const document = parseYaml(text, displayPath(file))
  const { value } = document
  if (value === null) return new Map()
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.push({ message: 'the document must be a mapping of parameters', location: document.locate([]) })
    return new Map()
  }
  for (const [name, each] of Object.entries(value)) {
    if (typeof each !== 'object') continue
    problems.push({ message: `${name} must be a text, a number, true or false`, location: document.locate([name]) })
  }
  return givenInFile(document, [], value)
}
