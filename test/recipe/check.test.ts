import { Command } from 'commander'
import { expect, it } from 'vitest'
import { join } from 'node:path'
import type { App, CommandContext } from '../../src/commands/app.ts'
import { build } from '../../src/commands/check.ts'
import { formatUserError, UserError } from '../../src/errors.ts'
import { loadConfig } from '../../src/load-config.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { recipeFolder } from './support.ts'

const good = "steps: [{name: a, type: script, run: 'true'}]\n"
const bad = 'steps: [{name: a, type: script}]\n'

/** What the command prints on stdout, and the error that ends it. */
async function check(args: readonly string[], json = false): Promise<{ stdout: string; error: string }> {
  let stdout = ''
  const context: CommandContext = {
    config: await loadConfig('/', undefined, {}),
    reporter: silentReporter,
    signal: new AbortController().signal,
    json,
    completed: () => {},
    print: (text) => (stdout += `${text}\n`),
    printJson: (value) => (stdout += `${JSON.stringify(value)}\n`),
  }
  const app: App = { open: () => Promise.resolve(context) }
  try {
    await new Command().addCommand(build(app)).parseAsync(['check', ...args], { from: 'user' })
    return { stdout, error: '' }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { stdout, error: `${error.exitCode} ${formatUserError(error)}` }
  }
}

it('names good recipes on stdout and all problems of the others in one error', async () => {
  await using folder = await recipeFolder({
    'good/recipe.yaml': good,
    'bad/recipe.yaml': bad,
    'worse/recipe.yaml': '[',
  })
  const { stdout, error } = await check(['good', 'bad', 'worse'].map((name) => join(folder.path, name)))
  expect(stdout.replaceAll(`${folder.path}/`, '')).toBe('good: ok, 1 step\n')
  expect(error.replaceAll(`${folder.path}/`, '')).toBe(
    "2 bad/recipe.yaml:1:9: steps[0] must have 'run' or 'file'\n    steps: [{name: a, type: script}]\n            ^\n" +
      'worse/recipe.yaml:1:2: bad YAML: unexpected end of the stream within a flow collection\n    [\n     ^\nfound 2 problems',
  )
})

it('lists recipes and problems as JSON', async () => {
  await using folder = await recipeFolder({ 'good/recipe.yaml': good, 'bad/recipe.yaml': bad })
  const { stdout, error } = await check(
    ['good', 'bad'].map((name) => join(folder.path, name)),
    true,
  )
  expect(JSON.parse(stdout)).toEqual([
    { recipe: join(folder.path, 'good'), ok: true, steps: 1, problems: [], findings: [], allowed: [] },
    {
      recipe: join(folder.path, 'bad'),
      ok: false,
      steps: 0,
      findings: [],
      allowed: [],
      problems: [
        {
          message: "steps[0] must have 'run' or 'file'",
          location: {
            file: join(folder.path, 'bad/recipe.yaml'),
            line: 1,
            column: 9,
            sourceLine: 'steps: [{name: a, type: script}]',
          },
        },
      ],
    },
  ])
  expect(error).toBe('2 found 1 problem')
})

it('says where there is none', async () => {
  await using folder = await recipeFolder({})
  const { error } = await check([folder.path])
  expect(error).toBe(`2 there is no recipe at ${folder.path}\n  name a folder that holds a recipe.yaml`)
})
