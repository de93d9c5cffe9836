import { UserError } from '../errors.ts'
import { hclExpression, hclName } from './hcl.ts'
import type { OutputForm } from './output-forms.ts'
import { handed, outputsOf, platforms } from './platforms.ts'
import type { UserData } from './render.ts'
import { userDataTargets } from './targets.ts'

/** The document of a recipe in one form. Throws a UserError (exit code 2) for a form that the target does not have. */
export function formatOutput(form: OutputForm, recipe: string, userData: UserData): string | Buffer {
  const { api, terraform, cliTakesTextOnly } = platforms[userData.target]
  switch (form) {
    case 'raw':
      return userData.encoding === 'base64' ? `${userData.bytes.toString('base64')}\n` : userData.bytes
    case 'base64':
      return `${userData.bytes.toString('base64')}\n`
    case 'launch-template':
      if (api === undefined) throw noSuchForm(form, userData)
      return `${JSON.stringify(api(handed(recipe, userData)), undefined, 2)}\n`
    case 'terraform':
      if (terraform === undefined) throw noSuchForm(form, userData)
      return terraformText(recipe, userData, terraform)
    case 'cli':
      if (cliTakesTextOnly === true && userData.format === 'gzip') {
        throw new UserError(`the command line tool of ${title(userData)} reads user-data as text`, {
          hint: 'give --format text, or take another --output-format',
          exitCode: 2,
        })
      }
      return cliText(recipe, userData)
  }
}

type Terraform = NonNullable<(typeof platforms)[keyof typeof platforms]['terraform']>

/** A local value, so that it goes into whatever resource there is; sensitive, so that plans do not show a key in it. */
function terraformText(recipe: string, userData: UserData, { value, resource, block, attribute }: Terraform): string {
  const expression = hclExpression(value(handed(recipe, userData)))
  const local = `${hclName(recipe)}_user_data`
  const use = block === undefined ? `${attribute} = local.${local}` : `${block} { ${attribute} = local.${local} }`
  return [
    `# ${about(recipe, userData)} In the resource:`,
    `#`,
    `#   resource "${resource}" "${hclName(recipe)}" {`,
    `#     ${use}`,
    `#   }`,
    `locals {`,
    `  ${local} = ${userData.secret ? `sensitive(${expression})` : expression}`,
    `}`,
    ``,
  ].join('\n')
}

function cliText(recipe: string, userData: UserData): string {
  const { cli } = platforms[userData.target]
  const document = userData.bytes.toString('base64')
  // What the tool is to read from its file is what `raw` gives.
  const decode = userData.encoding === 'base64' ? `tr -d '\\n'` : 'base64 -d'
  return [
    '#!/bin/sh',
    `# ${about(recipe, userData)} More arguments for the command may be given.`,
    'set -eu',
    'umask 077',
    'file=$(mktemp)',
    `trap 'rm -f "$file"' EXIT`,
    `${decode} >"$file" <<'END'`,
    ...(document.match(/.{1,76}/g) ?? []),
    'END',
    ...cli(handed(recipe, userData)),
    '',
  ].join('\n')
}

function about(recipe: string, userData: UserData): string {
  return `User-data of '${recipe}' for ${title(userData)}, made by parbake.`
}

function noSuchForm(form: OutputForm, userData: UserData): UserError {
  return new UserError(`${title(userData)} has no output form '${form}'`, {
    hint: `use ${outputsOf(userData.target).join(', ')}`,
    exitCode: 2,
  })
}

function title(userData: UserData): string {
  return userDataTargets[userData.target].title
}
