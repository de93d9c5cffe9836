import { exitCodes, UserError } from '../errors.ts'
import { isKnown, namesOf, unknownHint } from './allow.ts'
import { ruleTexts } from './rules/registry.ts'

/** Throws UserError (exit code 2) for an id that nothing has. */
export function checkIds(option: string, ids: readonly string[]): void {
  for (const id of ids) {
    if (!isKnown(id)) {
      throw new UserError(`${option}: there is no finding '${id}'`, {
        hint: unknownHint(id),
        exitCode: exitCodes.usage,
      })
    }
  }
}

/** All about one kind of finding, for people. Throws UserError (exit code 2) for an id that nothing has. */
export function explain(id: string): string {
  checkIds('--explain', [id])
  const text = ruleTexts.find((rule) => namesOf(id).includes(rule.id))
  if (text === undefined) throw new Error(`no text for ${id}`)
  const { finds, severity, why, fix, example } = text
  return [
    `${id} (${text.id === id ? severity : `shellcheck, https://www.shellcheck.net/wiki/${id}`}): ${finds}`,
    `\nWhy: ${why}`,
    `\nWhat to do: ${fix}.`,
    `\nFor example, instead of\n\n${indent(example.bad)}\n\nwrite\n\n${indent(example.good)}`,
    `\nWhere it does not matter, say so, on the line or in a comment before it:\n`,
    indent(`# parbake: allow ${id} REASON`),
    `\nor for a whole project, in parbake.yaml:\n`,
    indent(`check:\n  allow:\n    ${id}: REASON`),
  ].join('\n')
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
}
