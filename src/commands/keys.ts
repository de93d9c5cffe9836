import { Command } from 'commander'
import { listKeys } from '../keys/files.ts'
import { initKeys } from '../keys/init.ts'
import type { App, BuildCommand } from './app.ts'

/** `parbake keys init | list`. */
export const build: BuildCommand = (app) =>
  new Command('keys')
    .description('Make and list the keys that sign what hosts run')
    .addCommand(buildInit(app))
    .addCommand(buildList(app))

function buildInit(app: App): Command {
  return new Command('init')
    .description('Make an Ed25519 key pair; an existing one is never overwritten')
    .option('--name <name>', 'name of the new key', 'default')
    .action(async (options: { name: string }, command: Command) => {
      const context = await app.open(command)
      const key = await initKeys(context.config, options.name, context.reporter)
      if (context.json) {
        context.printJson(key)
        return
      }
      context.print(
        `private key  ${key.privateFile}  (keep it safe: it can make every host run anything)\n` +
          `public key   ${key.publicFile}\n` +
          `             ${key.publicKey}`,
      )
    })
}

function buildList(app: App): Command {
  return new Command('list')
    .description('List the keys that hosts trust')
    .action(async (_options: unknown, command: Command) => {
      const context = await app.open(command)
      const keys = listKeys(context.config)
      if (context.json) {
        context.printJson({
          keysDir: context.config.keysDir,
          keys: keys.map((key) => ({ ...key, canSign: key.privateFile !== undefined })),
        })
        return
      }
      if (keys.length === 0) {
        context.reporter.emit({ type: 'note', text: `no keys in ${context.config.keysDir}: run 'parbake keys init'` })
        return
      }
      const width = Math.max(...keys.map((key) => key.name.length))
      for (const key of keys) {
        const use = key.privateFile === undefined ? 'trust only' : 'signs     '
        context.print(`${key.name.padEnd(width)}  ${use}  ${key.publicKey}`)
      }
    })
}
