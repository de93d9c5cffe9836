import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/load-config.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { run } from '../../src/system/run.ts'
import { parseYaml } from '../../src/util/yaml.ts'
import { cliHome, runCli } from '../support/cli.ts'
import { readUserDataParts } from '../support/cloud-init.ts'
import { repository } from '../support/source-files.ts'

interface Block {
  /** Line of the opening fence in README.md. */
  readonly line: number
  /** What follows the fence's language, e.g. `recipe`. */
  readonly language: string
  readonly marker: string
  readonly text: string
}

function fencedBlocks(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { line: number; info: string; body: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined) {
      if (line.startsWith('```')) open = { line: index + 1, info: line.slice(3).trim(), body: [] }
    } else if (line === '```') {
      const [language = '', marker = ''] = open.info.split(' ')
      blocks.push({ line: open.line, language, marker, text: `${open.body.join('\n')}\n` })
      open = undefined
    } else {
      open.body.push(line)
    }
  }
  if (open !== undefined) throw new Error(`README.md:${open.line}: the block is never closed`)
  return blocks
}

/** The words after `parbake` of each line that calls it, without comments, pipes and what follows. */
function parbakeCalls(shell: string): string[][] {
  return shell
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => {
      const words = (line.match(/'[^']*'|"[^"]*"|\S+/g) ?? []).filter((word) => word !== '$' && word !== 'npx')
      if (words[0] !== 'parbake') return []
      const end = words.findIndex((word) => ['#', '|', '>', '&&', '&', ';'].includes(word))
      return [words.slice(1, end === -1 ? undefined : end)]
    })
}

const blocks = fencedBlocks(await readFile(join(repository, 'README.md'), 'utf8'))
const named = (language: string) =>
  blocks.filter((block) => block.language === language).map((block) => [`line ${block.line}`, block] as const)

test('blocks are tagged with what can be checked', () => {
  const untagged = blocks.filter(({ language }) => !['sh', 'sql', 'ts', 'yaml', 'json', 'text'].includes(language))
  expect(untagged.map(({ line, language }) => `README.md:${line}: '${language}'`)).toEqual([])
  expect(blocks.length).toBeGreaterThan(3)
})

describe('yaml', () => {
  test.each(named('yaml'))('%s parses', (_, block) => {
    expect(() => parseYaml(block.text, 'README.md')).not.toThrow()
  })

  test('recipes load', async () => {
    const recipes = blocks.filter(({ marker }) => marker === 'recipe')
    expect(recipes.length).toBeGreaterThan(0)
    for (const { text } of recipes) {
      await using home = await cliHome()
      await writeFile(join(home.cwd, 'recipe.yaml'), text)
      expect((await loadRecipe(home.cwd)).steps.length).toBeGreaterThan(0)
    }
  })

  test('configurations load', async () => {
    const configs = blocks.filter(({ marker }) => marker === 'config')
    expect(configs.length).toBeGreaterThan(0)
    for (const { text } of configs) {
      await using home = await cliHome()
      await writeFile(join(home.cwd, 'parbake.yaml'), text)
      expect((await loadConfig(home.cwd, undefined)).root).toBe(home.cwd)
    }
  })
})

test.each(named('json'))('json at %s parses', (_, block) => {
  expect(() => JSON.parse(block.text) as unknown).not.toThrow()
})

test('TypeScript examples run, and cloud-init reads what they print', async () => {
  const examples = blocks.filter(({ language }) => language === 'ts')
  expect(examples.length).toBeGreaterThan(0)
  await using home = await cliHome()
  for (const [index, { text }] of examples.entries()) {
    const file = join(home.cwd, `example-${index}.mts`)
    await writeFile(file, text.replaceAll(`'parbake/cloud-config'`, `'${repository}/src/cloud-config/index.ts'`))
    const { stdout } = await run(join(repository, 'node_modules/.bin/tsx'), [file])
    const parts = await readUserDataParts(stdout)
    expect(parts.map(({ type }) => type)).not.toContain('text/x-not-multipart')
    expect(parts.length).toBeGreaterThan(0)
  }
})

test('every parbake line names a verb and options that exist', async () => {
  await using home = await cliHome()
  const calls = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => parbakeCalls(text))
  expect(calls.length).toBeGreaterThan(8)
  const helps = new Map<string, string>()
  const helpOf = async (words: readonly string[]) => {
    const key = words.join(' ')
    const known = helps.get(key)
    if (known !== undefined) return known
    const { exitCode, stdout } = await runCli([...words, '--help'], home)
    const text = exitCode === 0 ? stdout : ''
    helps.set(key, text)
    return text
  }
  const problems: string[] = []
  for (const call of calls) {
    const [verb = '', sub = ''] = call
    let help = await helpOf([verb])
    // A verb with verbs of its own lists them; its options are those of the inner one.
    if (/^Commands:$/m.test(help)) {
      const inner = new RegExp(`^ {2}${sub.replaceAll(/[^a-z-]/g, '')}\\b`, 'm')
      help = sub !== '' && inner.test(help) ? await helpOf([verb, sub]) : ''
    }
    if (help === '') problems.push(`parbake ${call.join(' ')}: no such verb`)
    for (const option of call.filter((word) => /^--?[a-z]/.test(word))) {
      const long = option.replace(/=.*/, '')
      if (!new RegExp(`(^|[ ,])${long}(?![a-z-])`, 'm').test(help))
        problems.push(`parbake ${call.join(' ')}: no ${long}`)
    }
  }
  expect(problems).toEqual([])
})

test('parbake lines that need no store, image or other project run as they stand', async () => {
  const isAlone = ([verb = '', what]: readonly string[]) =>
    ['import', 'check', 'user-data', 'cache'].includes(verb) && what !== 'shop'
  const calls = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => parbakeCalls(text))
  // What is imported is what others are called with.
  const wanted = calls.filter(isAlone).toSorted((a, b) => Number(b[0] === 'import') - Number(a[0] === 'import'))
  expect(wanted.length).toBeGreaterThan(15)
  await using home = await cliHome()
  await writeFile(join(home.cwd, 'user-data.yaml'), '#cloud-config\npackages: [tree]\n')
  await cp(join(repository, 'test/fixtures/import/packer'), home.cwd, { recursive: true })
  for (const folder of ['recipes/web', 'hello']) {
    await cp(join(repository, 'recipes/web'), join(home.cwd, folder), { recursive: true })
  }
  await writeFile(join(home.cwd, 'parbake.yaml'), 'hosts: {endpoint: https://store.example/bucket, auth: anonymous}\n')
  expect((await runCli(['keys', 'init'], home)).exitCode).toBe(0)
  const failed: string[] = []
  for (const call of wanted) {
    const { exitCode, stderr } = await runCli(
      call.map((word) => word.replaceAll(/^'|'$/g, '')),
      home,
    )
    if (exitCode !== 0) failed.push(`parbake ${call.join(' ')}: ${exitCode} ${stderr}`)
  }
  expect(failed).toEqual([])
}, 180_000)
