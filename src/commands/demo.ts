import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { runDemo } from '../demo/demo.ts'
import { demoJson, renderDemo } from '../demo/render.ts'
import type { BuildCommand } from './app.ts'

/** `parbake demo`: the whole loop with the embedded defaults. */
export const build: BuildCommand = (app) =>
  new Command('demo')
    .description('the whole loop on this machine: provision a VM, measure, bake what is slow, boot it again')
    .argument('[recipe]', 'recipe folder (default: the sample recipe web)')
    .action(async (folder: string | undefined, _options: unknown, command: Command) => {
      const context = await app.open(command)
      const recipe = folder ?? fileURLToPath(new URL('../../recipes/web', import.meta.url))
      const result = await runDemo(context, recipe)
      if (context.json) context.printJson(demoJson(result))
      else context.print(`\n${renderDemo(result)}`)
    })
