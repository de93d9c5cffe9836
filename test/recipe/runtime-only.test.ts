import { expect, it } from 'vitest'
import { loadRecipe } from '../../src/recipe/load.ts'
import { recipeFolder } from './support.ts'

it('says why a step of its type is never baked', async () => {
  const steps = [
    '{name: keys, type: user, user: app, authorizedKeys: []}',
    '{name: off, type: service, service: x, state: started, enabled: false}',
    '{name: on, type: service, service: x, state: started}',
    '{name: stopped, type: service, service: x, state: stopped}',
    "{name: mine, type: script, run: 'true', bake: never}",
  ]
  await using folder = await recipeFolder({ 'recipe.yaml': `steps:\n${steps.map((step) => `  - ${step}\n`).join('')}` })
  const recipe = await loadRecipe(folder.path)
  expect(recipe.steps.map(({ name, bake, runtimeOnly }) => [name, bake, runtimeOnly])).toEqual([
    ['keys', 'never', 'it lets people in by SSH keys, which an image must not hold'],
    [
      'off',
      'never',
      'an enabled service of an image runs after every boot and no other does, which state started contradicts',
    ],
    ['on', 'auto', undefined],
    ['stopped', 'auto', undefined],
    ['mine', 'never', undefined],
  ])
})
