import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packBundle } from '../../src/bundle/pack.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { hostFactsOf } from '../../src/steps/conditions.ts'
import { run } from '../../src/system/run.ts'
import { findings, recipeFolder, writeTree } from './support.ts'

const yaml = (condition: string, more = '') =>
  `steps:\n  - {name: one, type: script, run: 'true'${condition === '' ? '' : `, if: ${condition}`}${more}}\n`

async function stepOf(condition: string) {
  await using folder = await recipeFolder({ 'recipe.yaml': yaml(condition) })
  const { steps } = await loadRecipe(folder.path)
  return steps[0]!
}

describe('the lines of a condition', () => {
  it.each<[string, readonly string[] | undefined]>([
    ['{os: debian}', ['os is debian']],
    ['{os: [ubuntu, Debian, debian]}', ['os is debian,ubuntu']],
    ['{os-version: 12}', ['os-version is 12']],
    ["{os-version: ['22.10', 12]}", ['os-version is 12,22.10']],
    ["{os-version: {at-least: 12, below: '13.1'}}", ['os-version at-least 12', 'os-version below 13.1']],
    ['{os-like: [debian]}', ['os-like is debian']],
    ['{arch: [amd64, arm64]}', ['arch is aarch64,x86_64']],
    ['{platform: aws, tag: [canary, db]}', ['platform is aws', 'tag is canary,db']],
    [
      "{tag: a, not: {tag: [c, b], os: ubuntu, os-version: '22.04'}}",
      ['os not ubuntu', 'os-version not 22.04', 'tag is a', 'tag not b,c'],
    ],
    ['{}', undefined],
    ['{os-version: {}}', undefined],
    ['', undefined],
  ])('%s', async (condition, expected) => {
    expect((await stepOf(condition)).rendered.conditions).toEqual(expected)
  })

  it('are in the digest, however they are written', async () => {
    const digests = await Promise.all(
      ['', '{os: debian}', '{os: [debian]}', '{os: ubuntu}', '{not: {os: debian}}'].map(
        async (condition) => (await stepOf(condition)).digest,
      ),
    )
    expect(digests[1]).toBe(digests[2])
    expect(new Set(digests).size).toBe(4)
  })

  it('are a file of the step in the bundle', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': yaml('{os: debian, tag: [b, a]}') })
    const { bytes } = await packBundle(await loadRecipe(folder.path))
    await writeTree(folder.path, { 'b.tar.gz': bytes })
    const { stdout } = await run('tar', ['-xOzf', join(folder.path, 'b.tar.gz'), 'steps/01/if'])
    expect(stdout).toBe('os is debian\ntag is a,b')
  })

  it('say which facts only hosts know', () => {
    expect(hostFactsOf(['os is debian', 'os-version at-least 12', 'arch not x'])).toEqual([])
    expect(hostFactsOf(['tag not a', 'platform is aws'])).toEqual(['platform', 'tag'])
  })
})

describe('a condition that is wrong', () => {
  it.each([
    ['{oss: debian}', "unknown key 'oss' in steps[0].if"],
    ['{os: []}', 'steps[0].if.os must not be empty'],
    ['{os: a b}', 'steps[0].if.os must be one word of'],
    ['{os-version: 22.10}', 'steps[0].if.os-version must be a version of digits and dots, quoted where it has a dot'],
    ['{os-version: bookworm}', 'steps[0].if.os-version must be a version of digits and dots'],
    ['{os-version: {from: 1}}', "unknown key 'from' in steps[0].if.os-version"],
    ['{tag: A}', 'steps[0].if.tag must consist of a-z, 0-9 and -'],
    ['{not: {os-version: {below: 3}}}', 'steps[0].if.not.os-version must be one value or a list of some'],
    ['debian', 'steps[0].if must be a mapping'],
  ])('%s', async (condition, expected) => {
    expect(await findings(yaml(condition))).toContain(expected)
  })

  it.each([
    ['{tag: a}', 'steps[0].bake cannot be always for a step whose if asks about platform or tag'],
    ['{not: {platform: aws}}', 'steps[0].bake cannot be always'],
  ])('bake: always with %s', async (condition, expected) => {
    expect(await findings(yaml(condition, ', bake: always'))).toContain(expected)
  })

  it('is no matter of the distribution', async () => {
    expect(await findings(yaml('{os: debian, arch: x86_64}', ', bake: always'))).toBe('')
  })
})
