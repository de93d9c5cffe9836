import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectRecipe } from '../../src/recipe/load.ts'
import { recipeJsonSchema, recipeSchema } from '../../src/recipe/schema.ts'
import { stepTypes } from '../../src/steps/registry.ts'
import { tempDir } from '../../src/system/temp.ts'
import { run } from '../../src/system/run.ts'
import { parseYaml } from '../../src/util/yaml.ts'
import { repository } from '../support/source-files.ts'
import { writeTree } from './support.ts'

interface JsonSchema {
  readonly $schema?: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
  readonly const?: unknown
}

const schema = recipeJsonSchema() as JsonSchema

/** Every property of every object in the schema, by path. */
function properties(node: JsonSchema, path = ''): [string, JsonSchema][] {
  const own = Object.entries(node.properties ?? {}).map(([key, child]): [string, JsonSchema] => [
    `${path}.${key}`,
    child,
  ])
  const inner = [node.items, ...(node.anyOf ?? []), ...(node.oneOf ?? [])].filter((child) => child !== undefined)
  const extra = typeof node.additionalProperties === 'object' ? [node.additionalProperties] : []
  return [
    ...own,
    ...own.flatMap(([childPath, child]) => properties(child, childPath)),
    ...[...inner, ...extra].flatMap((child) => properties(child, `${path}[]`)),
  ]
}

async function validate(value: unknown): Promise<string> {
  await using dir = await tempDir('schema-test')
  await writeTree(dir.path, { 'schema.json': JSON.stringify(schema), 'value.json': JSON.stringify(value) })
  const code = `import json, jsonschema
schema = json.load(open('schema.json'))
jsonschema.Draft7Validator.check_schema(schema)
print(sum(1 for _ in jsonschema.Draft7Validator(schema).iter_errors(json.load(open('value.json')))))`
  return (await run('/usr/bin/python3', ['-c', code], { cwd: dir.path })).stdout.trim()
}

const samples = await readdir(join(repository, 'recipes'))

describe('the JSON Schema', () => {
  it('is draft-07 with all keys, each described', () => {
    expect(schema.$schema).toBe('http://json-schema.org/draft-07/schema#')
    expect(Object.keys(schema.properties ?? {})).toEqual(Object.keys(recipeSchema.shape))
    const all = properties(schema)
    expect(all.length).toBeGreaterThan(40)
    expect(all.filter(([, child]) => (child.description ?? '') === '').map(([path]) => path)).toEqual([])
  })

  it('knows every step type and its keys', () => {
    const types = schema.properties?.['steps']?.items?.oneOf ?? []
    expect(types.map((type) => type.properties?.['type']?.const)).toEqual(stepTypes.map((type) => type.name))
    expect(types.map((type) => Object.keys(type.properties ?? {}))).toEqual(
      stepTypes.map((type) => Object.keys(type.schema.shape)),
    )
    expect(types.map((type) => type.additionalProperties)).toEqual(stepTypes.map(() => false))
  })

  it.each([
    [
      {
        steps: [{ name: 'a', type: 'script', run: 'x', timeout: '10m', env: { A: 1 } }],
        params: { a: { default: 1 } },
      },
      '0',
    ],
    [{ steps: [{ name: 'a', type: 'script', run: 'x', timeuot: '10m' }] }, '1'],
    [{ steps: [{ name: 'a', type: 'template', destination: '/x', mode: 644 }] }, '1'],
    [{ steps: [] }, '1'],
    [{}, '1'],
  ])('finds in %j so many problems: %s', async (value, count) => {
    expect(await validate(value)).toBe(count)
  })

  it.each(samples)('accepts recipes/%s', async (name) => {
    const file = join(repository, 'recipes', name, 'recipe.yaml')
    expect(await validate(parseYaml(await readFile(file, 'utf8'), file).value)).toBe('0')
    expect(await inspectRecipe(file)).toMatchObject({ ok: true, recipe: { name } })
  })
})
