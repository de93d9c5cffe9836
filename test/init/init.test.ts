import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, test } from 'vitest'
import { projectFiles } from '../../src/project/scaffold.ts'
import { parseYaml } from '../../src/util/yaml.ts'
import { cliHome, runCli } from '../support/cli.ts'

const allFiles = [
  'parbake.yaml',
  'recipes/shop/recipe.yaml',
  'recipes/shop/templates/motd',
  'recipes/shop/params/prod.yaml',
  '.gitignore',
]

describe('parbake init', () => {
  it('makes a project that passes the strictest check and can be published at once', async () => {
    await using home = await cliHome()
    const made = await runCli(['init', 'My_Shop', '--name', 'shop', '--store', 'store'], home)
    expect(made.exitCode).toBe(0)
    expect(made.stdout).toBe(
      `${allFiles.map((path) => `wrote My_Shop/${path}\n`).join('')}\nNext:\n  parbake check My_Shop/recipes/shop\n` +
        '  parbake publish My_Shop/recipes/shop\n  parbake launch My_Shop/recipes/shop\n',
    )
    const inside = { ...home, cwd: join(home.cwd, 'My_Shop') }
    const checked = await runCli(['check', '--strict'], inside)
    expect(checked).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('recipes/shop: ok, 3 steps') as string,
    })
    const published = await runCli(['publish', 'recipes/shop', '--env', 'prod', '--json'], inside)
    expect(published).toMatchObject({ exitCode: 0 })
    expect(JSON.parse(published.stdout)).toMatchObject({ recipe: 'shop', channel: 'stable', serial: 1 })
    expect(await readdir(join(inside.cwd, 'store'))).toContain('channels')
  })

  it('leaves alone what is there, and says so', async () => {
    await using home = await cliHome()
    await mkdir(join(home.cwd, 'recipes', 'shop'), { recursive: true })
    const mine = 'name: shop # mine\n'
    await writeFile(join(home.cwd, 'recipes', 'shop', 'recipe.yaml'), mine)
    const first = await runCli(['init', '--name', 'shop', '--no-keys', '--json'], home)
    expect(JSON.parse(first.stdout)).toMatchObject({ created: allFiles.toSpliced(1, 1), left: [allFiles[1]] })
    const second = await runCli(['init', '--name', 'shop', '--no-keys', '--json'], home)
    expect(JSON.parse(second.stdout)).toMatchObject({ created: [], left: allFiles })
    expect(await readFile(join(home.cwd, 'recipes', 'shop', 'recipe.yaml'), 'utf8')).toBe(mine)
  })

  it('writes nothing in a dry run', async () => {
    await using home = await cliHome()
    const { exitCode, stdout } = await runCli(['init', 'new', '--dry-run', '--ci', 'github'], home)
    expect(exitCode).toBe(0)
    expect(stdout).toContain('would write new/recipes/new/recipe.yaml\n')
    expect(stdout).toContain('would write new/.github/workflows/parbake.yml')
    expect(await readdir(home.cwd)).toEqual([])
  })

  it('says what cannot be', async () => {
    await using home = await cliHome()
    await writeFile(join(home.cwd, 'file'), '')
    expect(await runCli(['init', 'file'], home)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('cannot write file/parbake.yaml') as string,
    })
    expect((await runCli(['init', '--store', 'http://x'], home)).stderr).toContain("'http://x' is no store")
    expect(await runCli(['init', '--name', 'No'], home)).toMatchObject({ exitCode: 2 })
  })
})

test.each(['github', 'gitlab'] as const)('the pipeline for %s is YAML that names the recipe', (ci) => {
  const files = projectFiles({ name: 'shop', store: 's3://bucket/prefix', ci })
  const pipeline = files.at(-1)
  expect(JSON.stringify(parseYaml(pipeline?.text ?? '', 'ci.yml').value)).toContain('publish recipes/shop --env prod')
  expect(parseYaml(files[0]?.text ?? '', 'parbake.yaml').value).toMatchObject({ store: 's3://bucket/prefix' })
})
