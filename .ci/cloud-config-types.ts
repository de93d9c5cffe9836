/**
 * Makes the cloud-config builder's types and keys from the JSON schema that cloud-init publishes.
 *
 *   npx tsx .ci/cloud-config-types.ts [SUITE]     of the cloud-init in Debian's SUITE, `sid` where absent
 *   npx tsx .ci/cloud-config-types.ts FOLDER      of an unpacked cloud-init package
 *
 * The package is downloaded and unpacked, never installed. Nothing else of the machine's apt is touched.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { resolveDefinition } from '../src/base/definitions.ts'
import type { KeyShape } from '../src/cloud-config/unknown-keys.ts'

export interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly type?: string | readonly string[]
  readonly enum?: readonly unknown[] | { readonly $ref: string }
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly prefixItems?: readonly Schema[]
  readonly minItems?: number
  readonly maxItems?: number
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly description?: string
  readonly deprecated?: boolean
  readonly deprecated_version?: string
  readonly deprecated_description?: string
}

/** When a module runs, e.g. `config stage, once per instance`, by its name without `cc_`. */
export type Timing = Readonly<Record<string, string>>

type Shape = { -readonly [Key in keyof KeyShape]: KeyShape[Key] }

/** Modules that Debian's cloud.cfg does not list, with the stage in which other distributions run them. */
const stagesElsewhere: Readonly<Record<string, string>> = {
  ansible: 'final',
  apk_configure: 'config',
  raspberry_pi: 'config',
  resolv_conf: 'network',
  rh_subscription: 'config',
  spacewalk: 'config',
  ubuntu_drivers: 'final',
  ubuntu_pro: 'config',
  wireguard: 'config',
  yum_add_repo: 'config',
  zypper_add_repo: 'config',
}

const frequencies: Readonly<Record<string, string>> = {
  PER_INSTANCE: 'once per instance',
  PER_ALWAYS: 'at every boot',
  PER_ONCE: 'once ever',
}

/** The text of the types: one interface for the document, one named type per definition that is used more than once. */
export function typesText(schema: Schema, timing: Timing, head: string): string {
  const definitions = schema.$defs ?? {}
  const modules = modulesOf(schema)
  const referenced = new Set<string>()
  const types = new TypeWriter(definitions, referenced)
  const keys = [...new Set(modules.flatMap(({ properties }) => Object.keys(properties)))].toSorted()
  const fields = keys.map((key) => {
    // Some keys are read by two modules; they say the same of it.
    const readers = modules.filter(({ properties }) => Object.hasOwn(properties, key))
    const notes = readers.flatMap(({ name }) => (timing[name] === undefined ? [] : [`\`${name}\`: ${timing[name]}`]))
    const note = notes.length === 0 ? '' : `Module ${notes.join('; ')}.`
    return types.field(key, readers[0]?.properties[key] ?? {}, false, note)
  })
  const named: string[] = []
  for (const name of referenced) named.push(types.named(name))
  return [
    head,
    '/** A value with these keys present. */',
    'type Need<T, K extends keyof T> = T & Required<Pick<T, K>>',
    '',
    ...named.toSorted().flatMap((text) => [text, '']),
    '/** A cloud-config document: every key of every module. */',
    'export interface CloudConfigDocument {',
    ...fields,
    '}',
    '',
  ].join('\n')
}

/** The text of the table of keys. */
export function keysText(schema: Schema, version: string, head: string): string {
  const properties = Object.assign({}, ...modulesOf(schema).map((module) => module.properties)) as Record<
    string,
    Schema
  >
  const shapes = new ShapeFinder(schema.$defs ?? {})
  const keys = Object.fromEntries(
    Object.entries(properties)
      .map(([key, property]) => [key, shapes.of(property)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
  return [
    head,
    `import type { CloudConfigDocument } from './generated-types.ts'`,
    `import type { KeyShape } from './unknown-keys.ts'`,
    '',
    '/** The cloud-init whose keys these are. */',
    `export const cloudInitVersion = '${version}'`,
    '',
    '/** Which keys a document has, and which those have below them; 0 where nothing is said about what is below. */',
    `export const documentKeys: Readonly<Record<keyof CloudConfigDocument, KeyShape | 0>> = ${JSON.stringify(keys)}`,
    '',
  ].join('\n')
}

/** The definitions that make up the document, with their keys. */
function modulesOf(schema: Schema): { name: string; properties: Readonly<Record<string, Schema>> }[] {
  return (schema.allOf ?? []).map(({ $ref = '' }) => {
    const name = refName($ref)
    const properties = schema.$defs?.[name]?.properties
    if (properties === undefined) throw new Error(`no keys in ${$ref}`)
    return { name: name.replace(/^cc_/, ''), properties }
  })
}

function refName($ref: string): string {
  return $ref.replace('#/$defs/', '')
}

class TypeWriter {
  readonly #definitions: Readonly<Record<string, Schema>>
  readonly #referenced: Set<string>

  constructor(definitions: Readonly<Record<string, Schema>>, referenced: Set<string>) {
    this.#definitions = definitions
    this.#referenced = referenced
  }

  /** A definition as a type of its own. */
  named(name: string): string {
    const schema = this.resolve({ $ref: `#/$defs/${name}` })
    const alternatives = requiredAlternatives(schema)
    if (alternatives.length === 0) return `export type ${typeName(name)} = ${this.type(schema)}`
    const { oneOf: _one, anyOf: _any, ...fields } = schema
    const needs = alternatives.map((keys) => `Need<${typeName(name)}Fields, ${keys.map(quoted).join(' | ')}>`)
    return `interface ${typeName(name)}Fields ${this.type(fields)}\n\nexport type ${typeName(name)} = ${needs.join(' | ')}`
  }

  field(key: string, schema: Schema, required: boolean, more = ''): string {
    const full = this.resolve(schema)
    const parts = [full, ...(full.allOf ?? [])]
    const description = parts.map((part) => part.description ?? '').find((text) => text !== '') ?? ''
    const old = parts.find((part) => part.deprecated === true)
    const deprecation =
      old === undefined
        ? ''
        : `@deprecated ${`Since ${old.deprecated_version}. ${old.deprecated_description ?? ''}`.trim()}`
    const doc = docComment([description, more, deprecation])
    return `${doc}readonly ${/^\w+$/.test(key) ? key : quoted(key)}${required ? '' : '?'}: ${this.type(schema)}`
  }

  type(schema: Schema): string {
    const { $ref } = schema
    const full = this.resolve(schema)
    if ($ref !== undefined && (schema.type === undefined || schema.type === 'object') && deservesName(full)) {
      this.#referenced.add(refName($ref))
      return typeName(refName($ref))
    }
    if (full.enum !== undefined) {
      return '$ref' in full.enum ? this.type({ $ref: full.enum.$ref }) : full.enum.map(quoted).join(' | ')
    }
    const alternatives = full.oneOf ?? full.anyOf
    if (alternatives !== undefined && requiredAlternatives(full).length === 0) {
      // Deprecated ones too: they are what older versions take.
      return union(alternatives.map((option) => this.type(option)))
    }
    if (full.allOf !== undefined && full.properties === undefined) {
      const [first = {}] = full.allOf.filter((part) => part.$ref !== undefined || part.type !== undefined)
      return this.type(first)
    }
    const names = typeof full.type === 'string' ? [full.type] : (full.type ?? (isObject(full) ? ['object'] : []))
    return union(names.map((name) => this.simple(name, full)))
  }

  private simple(name: string, schema: Schema): string {
    switch (name) {
      case 'integer':
        return 'number'
      case 'array':
        return this.array(schema)
      case 'object':
        return this.object(schema)
      default:
        return name
    }
  }

  private array({ items, prefixItems, minItems, maxItems }: Schema): string {
    if (prefixItems !== undefined) return `readonly [${prefixItems.map((item) => this.type(item)).join(', ')}]`
    const item = items === undefined ? 'unknown' : this.type(items)
    if (minItems !== undefined && minItems > 1 && minItems === maxItems) {
      return `readonly [${Array.from({ length: minItems }, () => item).join(', ')}]`
    }
    return `readonly (${item})[]`
  }

  private object(schema: Schema): string {
    const { properties = {}, patternProperties = {}, additionalProperties, required = [] } = schema
    const fields = Object.entries(properties).map(([key, value]) => this.field(key, value, required.includes(key)))
    const rest = Object.values(patternProperties)
    if (typeof additionalProperties === 'object') rest.push(additionalProperties)
    if (rest.length > 0) {
      // An index signature must cover the named keys too.
      const values = [...rest, ...Object.values(properties)].map((value) => this.type(value))
      const missing = fields.length > 0 ? ['undefined'] : []
      return `{ ${[...fields, `readonly [key: string]: ${union([...values, ...missing])}`].join('\n')} }`
    }
    const open = additionalProperties !== false
    return `{ ${[...fields, ...(open ? ['readonly [key: string]: unknown'] : [])].join('\n')} }`
  }

  private resolve(schema: Schema): Schema {
    return resolve(this.#definitions, schema)
  }
}

class ShapeFinder {
  readonly #definitions: Readonly<Record<string, Schema>>

  constructor(definitions: Readonly<Record<string, Schema>>) {
    this.#definitions = definitions
  }

  of(schema: Schema): Shape | 0 {
    const shape: Shape = {}
    this.add(shape, schema)
    // Where any key will do and nothing below is known, there is nothing to check.
    const { keys, patterns, items, open } = shape
    const children = [...Object.values(keys ?? {}), ...Object.values(patterns ?? {})].some((child) => child !== 0)
    if (items === undefined && !children && (open === true || (keys ?? patterns) === undefined)) return 0
    return shape
  }

  /** Alternatives are taken together: what any of them allows is no typing error. */
  private add(shape: Shape, schema: Schema): void {
    const full = resolve(this.#definitions, schema)
    for (const part of [...(full.oneOf ?? []), ...(full.anyOf ?? []), ...(full.allOf ?? [])]) this.add(shape, part)
    const { properties, patternProperties, additionalProperties, items } = full
    for (const [key, value] of Object.entries(properties ?? {})) {
      shape.keys = { ...shape.keys, [key]: merge(shape.keys?.[key], this.of(value)) }
    }
    const rest = typeof additionalProperties === 'object' ? { '': additionalProperties } : {}
    for (const [pattern, value] of Object.entries({ ...patternProperties, ...rest })) {
      shape.patterns = { ...shape.patterns, [pattern]: merge(shape.patterns?.[pattern], this.of(value)) }
    }
    if (items !== undefined) {
      const below = merge(shape.items, this.of(items))
      if (below !== 0) shape.items = below
    }
    const isMap = properties !== undefined || patternProperties !== undefined
    if ((isMap || additionalProperties === true) && additionalProperties !== false && !('' in rest)) shape.open = true
  }
}

function merge(one: KeyShape | 0 | undefined, other: KeyShape | 0): KeyShape | 0 {
  if (one === undefined || one === 0) return other
  if (other === 0) return one
  return {
    ...one,
    ...other,
    ...(one.keys || other.keys ? { keys: { ...one.keys, ...other.keys } } : {}),
    ...(one.patterns || other.patterns ? { patterns: { ...one.patterns, ...other.patterns } } : {}),
  }
}

/** A reference with what stands beside it. */
function resolve(definitions: Readonly<Record<string, Schema>>, schema: Schema): Schema {
  if (schema.$ref === undefined) return schema
  const definition = definitions[refName(schema.$ref)]
  if (definition === undefined) throw new Error(`no definition for ${schema.$ref}`)
  const { $ref: _, ...beside } = schema
  return { ...definition, ...beside }
}

/** The alternatives of a schema where they only say which keys must be there. */
function requiredAlternatives(schema: Schema): (readonly string[])[] {
  const alternatives = schema.oneOf ?? schema.anyOf ?? []
  return alternatives.flatMap((option) => {
    const { required, ...others } = option
    return required !== undefined && Object.keys(others).length === 0 ? [required] : []
  })
}

/** Plain values and lists of them are as clear without a name. */
function deservesName(schema: Schema): boolean {
  return isObject(schema) || [schema, schema.items].some((part) => part?.oneOf ?? part?.enum ?? part?.properties)
}

function isObject(schema: Schema): boolean {
  return schema.properties !== undefined || schema.patternProperties !== undefined
}

function union(types: readonly string[]): string {
  return types.length === 0 ? 'unknown' : [...new Set(types)].join(' | ')
}

function quoted(value: unknown): string {
  return typeof value === 'string' ? `'${value.replaceAll(/['\\]/g, '\\$&')}'` : JSON.stringify(value)
}

/** `apt_configure.mirror` becomes `AptConfigureMirror`. */
function typeName(definition: string): string {
  return definition.replaceAll(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** The schema's texts are reStructuredText or Markdown, by chance; keys stand in double asterisks, but so do words. */
function plainText(text: string): string {
  return text
    .replaceAll('``', '`')
    .replaceAll(/\*\*([\w.-]+)\*\*/g, '`$1`')
    .replaceAll('**', '')
    .replaceAll('*/', '*\\/')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

function docComment(paragraphs: readonly string[]): string {
  const lines = paragraphs.filter((text) => text !== '').flatMap((text) => wrap(plainText(text)))
  return lines.length === 0 ? '' : `/**\n${lines.map((line) => ` * ${line}`).join('\n')}\n */\n`
}

function wrap(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length > 108) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}

/** When each module runs, read from the package's cloud.cfg and the modules' own source. */
function timingOf(folder: string): Timing {
  const stages = new Map<string, string>(Object.entries(stagesElsewhere))
  const config = readFileSync(join(folder, 'etc/cloud/cloud.cfg'), 'utf8')
  for (const [, stage = '', list = ''] of config.matchAll(/^cloud_(\w+)_modules:\n((?: +- .*\n)+)/gm)) {
    for (const [, module = ''] of list.matchAll(/- (\S+)/g)) {
      stages.set(module.replaceAll('-', '_'), stage === 'init' ? 'network' : stage)
    }
  }
  const timing: Record<string, string> = {}
  const modules = join(folder, 'usr/lib/python3/dist-packages/cloudinit/config')
  for (const file of readdirSync(modules)) {
    const name = /^cc_(\w+)\.py$/.exec(file)?.[1] ?? ''
    const stage = stages.get(name)
    if (stage === undefined) continue
    const source = readFileSync(join(modules, file), 'utf8')
    const frequency = frequencies[/"?frequency"?(?: =|:) (PER_\w+)/.exec(source)?.[1] ?? '']
    if (frequency !== undefined) timing[name] = `${stage} stage, ${frequency}`
  }
  return timing
}

async function download(suite: string, work: string): Promise<string> {
  const option = (name: string, value: string) => ['-o', `${name}=${value}`]
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(work, folder), { recursive: true })
  const { mirror, keyring } = await resolveDefinition('debian-12')
  writeFileSync(join(work, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`)
  const options = [
    ...option('Dir::Etc::SourceList', join(work, 'sources.list')),
    ...option('Dir::Etc::SourceParts', '/dev/null'),
    ...option('Dir::State::Lists', join(work, 'lists')),
    ...option('Dir::State::Status', '/dev/null'),
    ...option('Dir::Cache', join(work, 'cache')),
    ...option('APT::Sandbox::User', 'root'),
  ]
  execFileSync('apt-get', [...options, '-q', 'update'], { cwd: work, stdio: 'inherit' })
  execFileSync('apt-get', [...options, '-q', 'download', 'cloud-init'], { cwd: work, stdio: 'inherit' })
  const deb = readdirSync(work).find((file) => file.endsWith('.deb')) ?? 'cloud-init.deb'
  execFileSync('dpkg-deb', ['-x', deb, 'root'], { cwd: work })
  return join(work, 'root')
}

function versionOf(python: string): string {
  const texts = ['meson_versions.py', 'version.py'].map((name) => join(python, name)).filter((file) => existsSync(file))
  for (const text of texts.map((file) => readFileSync(file, 'utf8'))) {
    const version = /VERSION\w* = "(\d+\.[\d.]*\d)/.exec(text)?.[1]
    if (version !== undefined) return version
  }
  throw new Error(`no version in ${texts.join(', ')}`)
}

async function main(source: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'cloud-config-types-'))
  try {
    const folder = existsSync(source) ? source : await download(source, work)
    const python = join(folder, 'usr/lib/python3/dist-packages/cloudinit')
    const file = join(python, 'config/schemas/schema-cloud-config-v1.json')
    const schema = JSON.parse(readFileSync(file, 'utf8')) as Schema
    const version = versionOf(python)
    const head = [
      `// Made by .ci/cloud-config-types.ts from cloud-init ${version}, schemas/schema-cloud-config-v1.json. Not to be edited.`,
      '// The schema is (C) Canonical Ltd. and contributors, licensed under GPL-3 or Apache-2.0; used here under Apache-2.0.',
      '',
    ].join('\n')
    const target = fileURLToPath(new URL('../src/cloud-config/', import.meta.url))
    const types = join(target, 'generated-types.ts')
    const keys = join(target, 'generated-keys.ts')
    writeFileSync(types, typesText(schema, timingOf(folder), head))
    writeFileSync(keys, keysText(schema, version, head))
    execFileSync('npx', ['oxfmt', types, keys], { stdio: 'inherit' })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] ?? 'sid')
