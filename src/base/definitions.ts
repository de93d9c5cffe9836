import { readdir, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exitCodes, hasCode, messageOf, UserError, type Problem } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { problemsOf, sortProblems } from '../util/schema-problems.ts'
import { parseYaml, type YamlDocument } from '../util/yaml.ts'
import { isBaseName } from './cache.ts'
import {
  completeDefinition,
  layerSchema,
  mergeLayers,
  type BaseDefinition,
  type DefinitionLayer,
} from './definition.ts'

/** The package's own definitions: `<name>.yaml`; what several share is in `common/`. */
const folder = new URL('../../bases/', import.meta.url)

export interface Mirrors {
  /** Replaces the definition's archive, e.g. `http://ftp.de.debian.org/debian`. */
  readonly mirror?: string
  /** Replaces the definition's security archive. */
  readonly securityMirror?: string
}

/** Names of every base that parbake can build by name. */
export async function definitionNames(): Promise<readonly string[]> {
  const entries = await readdir(folder)
  return entries
    .filter((entry) => entry.endsWith('.yaml'))
    .map((entry) => entry.slice(0, -'.yaml'.length))
    .toSorted()
}

/**
 * The definition of that name, or in that file (`*.yaml`, or a path with a slash), with the mirrors replaced: by the
 * arguments, else by PARBAKE_DEBIAN_MIRROR and PARBAKE_DEBIAN_SECURITY_MIRROR. Throws UserError (exit code 2) that
 * lists what there is, or all problems of the file with their positions.
 */
export async function resolveDefinition(
  nameOrFile: string,
  mirrors: Mirrors = {},
  env = process.env,
): Promise<BaseDefinition> {
  const definition = await loadDefinition(nameOrFile)
  const mirror = mirrors.mirror ?? env['PARBAKE_DEBIAN_MIRROR'] ?? definition.mirror
  const securityMirror = mirrors.securityMirror ?? env['PARBAKE_DEBIAN_SECURITY_MIRROR'] ?? definition.securityMirror
  return { ...definition, mirror: checkMirror(mirror), securityMirror: checkMirror(securityMirror) }
}

async function loadDefinition(nameOrFile: string): Promise<BaseDefinition> {
  const isFile = nameOrFile.includes('/') || nameOrFile.endsWith('.yaml')
  if (!isFile && !(await definitionNames()).includes(nameOrFile)) {
    throw new UserError(`there is no base '${nameOrFile}' that can be built`, {
      hint: `known: ${(await definitionNames()).join(', ')}; give the path of a definition (*.yaml), or take any other image in with 'parbake base import'`,
      exitCode: exitCodes.usage,
    })
  }
  const name = isFile ? basename(nameOrFile).replace(/\.ya?ml$/, '') : nameOrFile
  if (!isBaseName(name)) {
    throw new UserError(`'${name}' cannot be the name of a base`, {
      hint: 'name the file with lower-case letters, digits, dots, dashes and underscores',
      exitCode: exitCodes.usage,
    })
  }
  const file = isFile ? nameOrFile : ownFile(nameOrFile)
  const { document, layers } = await readLayers(file, [])
  const result = completeDefinition(name, mergeLayers(layers))
  if ('definition' in result) return result.definition
  throw invalid(
    document,
    result.problems.map(({ path, message }) => ({ message, location: document.locate(path) })),
  )
}

function ownFile(name: string): string {
  return fileURLToPath(new URL(`${name}.yaml`, folder))
}

/** The layers of a file, the most general first. `seen` are the files that led here. */
async function readLayers(
  file: string,
  seen: readonly string[],
): Promise<{ readonly document: YamlDocument; readonly layers: readonly DefinitionLayer[] }> {
  const document = parseYaml(await readDefinition(file), displayPath(file))
  const problems = problemsOf(layerSchema, document)
  if (problems.length > 0) throw invalid(document, problems)
  const layer = layerSchema.parse(document.value)
  if (layer.extends === undefined) return { document, layers: [layer] }
  const parent = /^(common\/)?[a-z0-9][a-z0-9._-]*$/.test(layer.extends) ? ownFile(layer.extends) : undefined
  const location = document.locate(['extends'])
  if (parent === undefined || [...seen, file].includes(parent)) {
    throw invalid(document, [{ message: `extends must name another definition, such as debian-12`, location }])
  }
  try {
    const { layers } = await readLayers(parent, [...seen, file])
    return { document, layers: [...layers, layer] }
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'definition-missing') throw error
    const hint = `known: ${(await definitionNames()).join(', ')}`
    throw invalid(document, [{ message: `there is no definition '${layer.extends}' to extend`, location, hint }])
  }
}

async function readDefinition(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? 'it does not exist' : messageOf(error)
    throw new UserError(`cannot read the definition ${displayPath(file)}: ${why}`, {
      exitCode: exitCodes.usage,
      code: 'definition-missing',
    })
  }
}

function invalid(document: YamlDocument, problems: readonly Problem[]): UserError {
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  return new UserError(`${document.file} has ${count}`, {
    problems: sortProblems(problems),
    exitCode: exitCodes.usage,
    code: 'definition-invalid',
  })
}

function checkMirror(mirror: string): string {
  if (!/^(https?|file):\/\/?[^\s'"]+$/.test(mirror)) {
    throw new UserError(`'${mirror}' is no URL of a Debian archive`, {
      hint: 'give one such as http://deb.debian.org/debian',
      exitCode: exitCodes.usage,
    })
  }
  return mirror.replace(/\/+$/, '')
}
