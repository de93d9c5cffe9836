import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { loadConfig } from '../../src/load-config.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { tempDir } from '../../src/system/temp.ts'
import { renderAgentConf } from '../../src/user-data/agent-conf.ts'
import { findings, recipeFolder } from './support.ts'

const yaml = (more: string) => `steps: [{name: a, type: script, run: 'true', ${more}}]\n`

it('names of secrets are part of the step, each once', async () => {
  await using folder = await recipeFolder({ 'recipe.yaml': yaml('secrets: [B, A, B]') })
  await using plain = await recipeFolder({ 'recipe.yaml': yaml('secrets: []') })
  const [[secret], [none]] = [(await loadRecipe(folder.path)).steps, (await loadRecipe(plain.path)).steps]
  expect(secret?.rendered.secrets).toEqual(['A', 'B'])
  expect(none?.rendered).not.toHaveProperty('secrets')
  expect(secret?.digest).not.toBe(none?.digest)
})

it.each([
  ['secrets: [a-b]', 'steps[0].secrets[0] is no name of an environment variable'],
  ['secrets: [PARBAKE_X]', 'steps[0].secrets[0] uses a name that the agent sets itself'],
  ['secrets: [A], env: {A: x}', "steps[0].secrets[0] is a name that env has too: 'A'"],
  ['secrets: [A], bake: always', 'steps[0].bake cannot be always for a step that uses a secret'],
])('refuses %s', async (more, expected) => {
  expect(await findings(yaml(more))).toContain(expected)
})

describe('hosts.secrets', () => {
  const configOf = async (source: string) => {
    await using folder = await tempDir('secrets-config')
    await writeFile(join(folder.path, 'parbake.yaml'), `hosts: {secrets: {A: ${JSON.stringify(source)}}}\n`)
    return await loadConfig(folder.path, undefined, {})
  }

  it.each([
    'file:/etc/a b',
    'env:/etc/default/x#KEY',
    'command:get-secret --name "x y"',
    'ssm:/prod/db',
    'ssm:/prod/db?endpoint=https://vpce.example.com/',
    'secretsmanager:prod/app#key',
    'vault:https://vault.example.com/v1/secret/data/x#field',
  ])('%s', async (source) => {
    expect((await configOf(source)).hosts.secrets).toEqual({ A: source })
  })

  it.each([
    'the value',
    'file:relative',
    'env:/etc/x',
    'vault:https://vault/v1/x',
    'command:a\nb',
    'ssm:a b',
    'file:/ä',
  ])('is refused: %j', async (source) => {
    const error = await configOf(source).catch((thrown: unknown) => thrown)
    if (!(error instanceof UserError)) throw new Error('it was taken')
    expect(formatUserError(error)).toContain('hosts.secrets.A must be file:/path, env:/path#NAME, ')
  })

  it('goes into agent.conf', () => {
    const text = renderAgentConf({
      ...{ recipe: 'web', channel: 'stable', store: 'file:///s', region: 'r', credentials: { auth: 'anonymous' } },
      ...{ trustedKeys: ['k'], purpose: 'fleet', everyMinutes: 15, secrets: { A: 'ssm:/prod/a' } },
    })
    expect(text).toContain('\nsecret.A=ssm:/prod/a\n')
  })
})
