import { posix } from 'node:path'
import { parseDuration } from '../../util/duration.ts'
import { addShellScript } from '../shell/steps.ts'
import { slug } from '../slug.ts'
import { exportLine } from './fill.ts'
import type { PackerContext } from './import.ts'
import { readInput } from './read-input.ts'
import { listOf, literalOf, type PackerField, type PackerProvisioner, type PackerValue } from './template.ts'

const handled = new Set([
  'inline',
  'inline_shebang',
  'script',
  'scripts',
  'environment_vars',
  'env',
  'max_retries',
  'timeout',
  'binary',
])

const reasons: Readonly<Record<string, readonly [why: string, hint?: string]>> = {
  execute_command: ['steps run as root, each in an environment of its own', 'write what else it does into the script'],
  only: ['recipes have no builders: the step is there for all of them'],
  except: ['recipes have no builders: the step is there for all of them'],
  override: ['recipes have no builders: the step is there for all of them'],
  valid_exit_codes: ['a step succeeds with 0 only', 'end the script with `|| true` where that is meant'],
  expect_disconnect: ['recipes do not reboot hosts'],
  pause_before: ['steps wait for nothing'],
  pause_after: ['steps wait for nothing'],
}

interface Text {
  readonly name: string
  readonly what: string
  readonly text: string
  readonly env: ReadonlyMap<string, string>
  readonly note?: string
}

/** Adds the scripts of a `shell` provisioner: one step for all inline commands, one for each file. */
export async function addShellProvisioner(provisioner: PackerProvisioner, context: PackerContext): Promise<void> {
  const { at, fields } = provisioner
  const { to } = context
  for (const { name, at: where } of fields.filter((field) => !handled.has(field.name))) {
    to.notCarried(where, `shell: ${name}`, ...(reasons[name] ?? ['it is about how Packer builds']))
  }
  const environment = readEnvironment(fields, context)
  const keys = readLimits(fields, context)
  for (const { name, what, text, env, note } of [
    ...inlineText(provisioner, context),
    ...(await scriptTexts(provisioner, context)),
  ]) {
    const all = { ...Object.fromEntries(environment.env), ...Object.fromEntries(env) }
    const withExports = environment.exports === '' ? text : text.replace('\n', `\n${environment.exports}`)
    addShellScript(
      {
        ...{ name, what, text: withExports, locate: () => at, placed: context.placed, installed: '' },
        ...{ folder: '', whole: true, keys: { ...keys, ...(Object.keys(all).length === 0 ? {} : { env: all }) } },
        ...(note === undefined ? {} : { note }),
      },
      to,
    )
  }
}

function inlineText({ at, fields }: PackerProvisioner, { to, variables }: PackerContext): readonly Text[] {
  const inline = fields.find(({ name }) => name === 'inline')
  if (inline === undefined) return []
  const shebang = fields.find(({ name }) => name === 'inline_shebang')?.value
  const interpreter = shebang === undefined ? '/bin/sh -e' : (variables.literal(shebang) ?? '/bin/sh -e')
  const lines = listOf(inline.value).map((value) => variables.shellLine(value))
  const known = lines.filter((line) => line !== undefined)
  if (known.length < lines.length) {
    to.notCarried(
      at,
      'provisioner shell',
      'its commands are known to Packer only',
      'write them with variables that have defaults',
    )
    return []
  }
  const env = new Map(known.flatMap((line) => [...line.env]))
  const fixed = [...new Set(known.flatMap((line) => line.fixed))]
  return [
    {
      name: nameOf(known[0]?.text ?? ''),
      what: 'provisioner shell',
      text: `#!${interpreter}\n${known.map(({ text }) => text).join('\n')}\n`,
      env,
      ...(fixed.length === 0
        ? {}
        : { note: `${fixed.join(', ')} stand${fixed.length === 1 ? 's' : ''} in it as given, not as a parameter` }),
    },
  ]
}

/** From the first words of the first command: `apt-get update`. */
function nameOf(line: string): string {
  const words = line.replace(/^\s*sudo\s+(?:-\S+\s+)*/, '').split(/\s+/)
  const end = words.findIndex((word, index) => !/^[A-Za-z][\w./-]*$/.test(word) || index === 3)
  return slug((end === -1 ? words : words.slice(0, end)).join(' ')) || 'shell'
}

async function scriptTexts(
  { at, fields }: PackerProvisioner,
  { to, variables, folder }: PackerContext,
): Promise<readonly Text[]> {
  const named = fields
    .filter(({ name }) => name === 'script' || name === 'scripts')
    .flatMap(({ value }) => listOf(value))
  const texts: Text[] = []
  for (const value of named) {
    const path = variables.literal(value)
    const found = path === undefined ? undefined : (await readInput(folder, path))?.[0]
    const what = `provisioner shell ${path ?? ''}`.trim()
    if (path === undefined || found === undefined) {
      to.notCarried(at, what, path === undefined ? 'its path is known to Packer only' : 'the script is not there')
      continue
    }
    const text = found.content.toString('utf8').replaceAll('\r\n', '\n')
    const name = slug(posix.basename(path).replace(/\.(?:sh|bash)$/, '')) || 'shell'
    texts.push({ name, what, text: text.startsWith('#!') ? text : `#!/bin/sh\n${text}`, env: new Map() })
  }
  return texts
}

interface Environment {
  readonly env: ReadonlyMap<string, string>
  /** Lines of shell for what cannot be a step's environment. */
  readonly exports: string
}

function readEnvironment(fields: readonly PackerField[], { to, variables }: PackerContext): Environment {
  const env = new Map<string, string>()
  let exports = ''
  const add = (field: PackerField, name: string, value: PackerValue) => {
    const template = variables.template(value)
    const literal = variables.literal(value)
    if (template !== undefined) env.set(name, template)
    else if (literal !== undefined) exports += exportLine(name, literal)
    else to.notCarried(field.at, `shell: ${field.name} ${name}`, 'its value is known to Packer only')
  }
  for (const field of fields) {
    if (field.name === 'environment_vars') {
      for (const item of listOf(field.value)) {
        const [first, ...rest] = item.kind === 'text' ? item.pieces : []
        const named = typeof first === 'string' ? /^([A-Za-z_]\w*)=(.*)$/s.exec(first) : null
        if (named === null) to.notCarried(field.at, 'shell: environment_vars', 'an entry is no NAME=value')
        else
          add(field, named[1] ?? '', { kind: 'text', pieces: [...(named[2] === '' ? [] : [named[2] ?? '']), ...rest] })
      }
    } else if (field.name === 'env') {
      if (field.value.kind !== 'map') to.notCarried(field.at, 'shell: env', 'it is no mapping of names to values')
      else for (const [name, value] of field.value.entries) add(field, name, value)
    }
  }
  return { env, exports }
}

function readLimits(fields: readonly PackerField[], { to }: PackerContext): Readonly<Record<string, unknown>> {
  const limits: Record<string, unknown> = {}
  for (const { name, value, at } of fields) {
    const text = literalOf(value) ?? ''
    if (name === 'max_retries') {
      const count = Number(text)
      if (Number.isInteger(count) && count >= 0 && count <= 10) limits['retries'] = count
      else to.notCarried(at, 'shell: max_retries', 'a step is tried again at most 10 times')
    } else if (name === 'timeout') {
      const seconds = parseDuration(text, 's')
      if (seconds !== undefined && Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400)
        limits['timeout'] = text
      else to.notCarried(at, 'shell: timeout', 'steps take whole seconds up to 24 hours')
    }
  }
  return limits
}
