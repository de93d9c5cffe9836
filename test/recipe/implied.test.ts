import { expect, it } from 'vitest'
import { loadRecipe } from '../../src/recipe/load.ts'
import { findings, recipeFolder } from './support.ts'

const files = { 'site.yml': '[]', 'site.pp': '' }

/** The steps of a recipe, as `name type needs`. */
async function stepsOf(steps: string): Promise<string[]> {
  await using folder = await recipeFolder({ ...files, 'recipe.yaml': `steps:\n${steps}` })
  const recipe = await loadRecipe(folder.path)
  return recipe.steps.map(({ name, type, needs }) => `${name} ${type} [${needs.join(' ')}]`)
}

const run = (name: string, more = '') => `  - {name: ${name}, type: script, run: 'true'${more}}\n`
const play = (name: string, more = '') => `  - {name: ${name}, type: ansible, playbook: site.yml${more}}\n`
const apply = (name: string, more = '') => `  - {name: ${name}, type: puppet, manifest: site.pp${more}}\n`

it('comes before the first step that requires it, once', async () => {
  expect(await stepsOf(run('one') + play('two') + play('three') + apply('four'))).toEqual([
    'one script []',
    'ansible-software packages [one]',
    'two ansible [one ansible-software]',
    'three ansible [one ansible-software two]',
    'puppet-software packages [one two three]',
    'four puppet [one ansible-software two three puppet-software]',
  ])
})

it('has images hold the client that hosts fetch with, and changes no other step', async () => {
  await using folder = await recipeFolder({ 'recipe.yaml': `steps:\n${run('one')}${run('two')}` })
  const plain = await loadRecipe(folder.path)
  const recipe = await loadRecipe(folder.path, { client: 'awscli' })
  expect(recipe.steps.slice(0, 2)).toEqual(plain.steps)
  const [client, ...more] = recipe.steps.slice(2)
  expect(client).toMatchObject({ name: 'store-client', type: 'packages', needs: [], bake: 'always', when: 'change' })
  expect(client?.rendered.script).toMatch(/^if have aws; then exit 0; fi$/m)
  expect(client?.rendered.script).toMatch(
    /^apt-get\) set -- awscli ;;\ndnf\) set -- awscli2 ;;\nzypper\) set -- aws-cli ;;$/m,
  )
  expect(more).toEqual([])
})

it('leaves a step of that name to the recipe', async () => {
  await using folder = await recipeFolder({ 'recipe.yaml': `steps:\n${run('store-client')}` })
  expect(await loadRecipe(folder.path, { client: 'rclone' })).toEqual(await loadRecipe(folder.path))
})

it('needs what all that require it need', async () => {
  expect(
    await stepsOf(
      run('a') +
        run('b', ', needs: []') +
        play('x', ', needs: [a, b]') +
        play('y', ', needs: [b]') +
        play('z', ', needs: [x, b]'),
    ),
  ).toEqual([
    'a script []',
    'b script []',
    'ansible-software packages [b]',
    'x ansible [a b ansible-software]',
    'y ansible [b ansible-software]',
    'z ansible [b ansible-software x]',
  ])
})

it('makes no cycle with steps between those that require it', async () => {
  expect(await stepsOf(play('x', ', needs: [c]') + run('c', ', needs: [y]') + play('y', ', needs: []'))).toEqual([
    'ansible-software packages []',
    'y ansible [ansible-software]',
    'c script [y]',
    'x ansible [ansible-software c]',
  ])
})

it('is not there where nobody wants it, or where the recipe has its own', async () => {
  expect(await stepsOf(play('x', ', install: false'))).toEqual(['x ansible []'])
  expect(await stepsOf(run('ansible-software') + play('x'))).toEqual([
    'ansible-software script []',
    'x ansible [ansible-software]',
  ])
})

it('has the condition that all have', async () => {
  const conditions = async (second: string) => {
    const steps = play('x', ', if: {os: debian}') + play('y', second)
    await using folder = await recipeFolder({ ...files, 'recipe.yaml': `steps:\n${steps}` })
    return (await loadRecipe(folder.path)).steps[0]?.rendered.conditions
  }
  expect(await conditions(', if: {os: debian}')).toEqual(['os is debian'])
  expect(await conditions('')).toBeUndefined()
})

it('is told by the line of the step that requires it', async () => {
  expect(await findings({ ...files, 'recipe.yaml': `steps:\n${play('x', ', if: {os: 7}')}` })).toMatch(
    /^recipe\.yaml:2:/,
  )
})
