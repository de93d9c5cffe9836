import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { exitCodes, hasCode, UserError, type Problem } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { problemsOf, sortProblems } from '../util/schema-problems.ts'
import { parseYaml, type YamlDocument } from '../util/yaml.ts'
import type { Allowance } from './explain.ts'
import { aspectsOf, kinds, type Aspect, type Kind } from './inventory.ts'

/** Name of the file beside recipe.yaml. */
export const allowanceFileName = 'verify.yaml'

/** What users call the kinds; a file is known by its path. */
const wordOf: Readonly<Record<Kind, string>> = {
  file: 'path',
  package: 'package',
  user: 'user',
  group: 'group',
  unit: 'unit',
  port: 'port',
  sysctl: 'sysctl',
  module: 'module',
}

const allAspects = [...new Set(Object.values(aspectsOf).flat())] as Aspect[]
const pattern = (description: string) => z.string().min(1).optional().meta({ description })

/** verify.yaml as a user writes it. */
export const allowanceSchema = z.strictObject({
  allow: z.array(
    z.strictObject({
      path: pattern('Files: an absolute path; * within a part, ** across parts.'),
      package: pattern('Packages: name, or name:architecture.'),
      user: pattern('Users by name.'),
      group: pattern('Groups by name.'),
      unit: pattern('systemd units by name.'),
      port: pattern('Listening ports, e.g. "tcp 0.0.0.0:80".'),
      sysctl: pattern('Kernel settings by their path below /proc/sys.'),
      module: pattern('Kernel modules by name.'),
      aspects: z
        .array(z.enum(allAspects))
        .min(1)
        .optional()
        .meta({ description: 'What may differ. Default: anything.' }),
      reason: z.string().trim().min(1, 'must say why the systems are equal all the same'),
    }),
  ),
})

/**
 * The recipe's own allowances; none where it has no verify.yaml. Throws one UserError (exit code 2, code
 * `allowances-invalid`) with all problems and their positions.
 */
export async function loadAllowances(recipeFolder: string): Promise<readonly Allowance[]> {
  const path = join(recipeFolder, allowanceFileName)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
  return parseAllowances(parseYaml(text, displayPath(path)))
}

/** Checks and reads a parsed verify.yaml. Pure; throws as `loadAllowances` does. */
export function parseAllowances(document: YamlDocument): readonly Allowance[] {
  const problems: Problem[] = [...problemsOf(allowanceSchema, document)]
  const parsed = allowanceSchema.safeParse(document.value)
  const allowances: Allowance[] = []
  for (const [index, entry] of (parsed.data?.allow ?? []).entries()) {
    const named = kinds.filter((kind) => entry[wordOf[kind] as keyof typeof entry] !== undefined)
    const kind = named[0]
    if (kind === undefined || named.length > 1) {
      problems.push({
        message: `allow[${index}] must name one thing, and names ${named.length === 0 ? 'none' : named.map((name) => wordOf[name]).join(' and ')}`,
        location: document.locate(['allow', index]),
        hint: `give it exactly one of ${kinds.map((name) => wordOf[name]).join(', ')}`,
      })
      continue
    }
    problems.push(...entryProblems(document, index, kind, entry))
    const glob = String(entry[wordOf[kind] as keyof typeof entry])
    allowances.push({
      id: `${allowanceFileName}:${document.locate(['allow', index]).line ?? index + 1}`,
      kind,
      // Users rarely think of architectures.
      glob: kind === 'package' && !glob.includes(':') ? `${glob}:*` : glob,
      ...(entry.aspects === undefined ? {} : { aspects: entry.aspects }),
      reason: entry.reason,
      source: 'recipe',
    })
  }
  if (problems.length === 0) return allowances
  throw new UserError(`${document.file} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}`, {
    problems: sortProblems(problems),
    exitCode: exitCodes.usage,
    code: 'allowances-invalid',
  })
}

function entryProblems(
  document: YamlDocument,
  index: number,
  kind: Kind,
  entry: { readonly path?: string | undefined; readonly aspects?: readonly Aspect[] | undefined },
): readonly Problem[] {
  const problems: Problem[] = []
  if (entry.path !== undefined && !entry.path.startsWith('/')) {
    problems.push({
      message: `allow[${index}].path must be absolute`,
      location: document.locate(['allow', index, 'path']),
    })
  }
  if (entry.path !== undefined && /^\/\*\*?(?:\/\*+)*$/.test(entry.path)) {
    problems.push({
      message: `allow[${index}].path allows everything`,
      location: document.locate(['allow', index, 'path']),
      hint: 'name the folder that may differ',
    })
  }
  const known: readonly Aspect[] = aspectsOf[kind]
  for (const [position, aspect] of (entry.aspects ?? []).entries()) {
    if (known.includes(aspect)) continue
    problems.push({
      message: `allow[${index}].aspects[${position}] '${aspect}' is nothing that a ${wordOf[kind]} has`,
      location: document.locate(['allow', index, 'aspects', position]),
      hint: `use ${known.join(', ')}`,
    })
  }
  return problems
}
