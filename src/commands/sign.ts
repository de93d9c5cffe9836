import { Command } from 'commander'
import type { Prepared } from '../bundle/offline.ts'
import type { BuildCommand } from './app.ts'

interface Flags {
  readonly key?: string
  readonly dryRun?: boolean
}

/** `parbake sign DIR`. */
export const build: BuildCommand = (app) =>
  new Command('sign')
    .description("Sign what 'publish --prepare' wrote, without a store or a network; shows what it signs")
    .argument('<dir>', "folder of 'publish --prepare'")
    .option('--key <name>', 'signing key, where there are several')
    .option('--dry-run', 'check and show, but sign nothing')
    .action(async (folder: string, flags: Flags, command: Command) => {
      const context = await app.open(command)
      const { signPrepared } = await import('../bundle/offline.ts')
      const dryRun = flags.dryRun === true
      await signPrepared(context, folder, {
        ...(flags.key === undefined ? {} : { keyName: flags.key }),
        dryRun,
        look: (prepared) => {
          if (context.json) context.printJson({ ...prepared, dryRun })
          else context.print(preparedText(prepared))
        },
      })
      if (context.json) return
      context.print(dryRun ? 'nothing was signed' : `signed; next: parbake publish --signed ${folder}`)
    })

/** What is about to be signed, for whoever answers for it. */
export function preparedText({ channel, publicKey, steps }: Prepared): string {
  const { rollout, trust = [], revoke = [] } = channel
  return [
    `recipe   ${channel.recipe}, channel ${channel.channel}, serial ${channel.serial}`,
    `bundle   ${channel.bundle} (${channel.bundleBytes} bytes)`,
    ...steps.map(({ name, when, digest }) => `  step   ${name} (${when}) ${digest.slice(0, 16)}`),
    `agent    ${channel.agent}`,
    `expires  ${channel.expires === 0 ? 'never' : dateText(channel.expires)}`,
    ...(rollout === undefined ? [] : [`rollout  ${rollout.bundle}, ${rollout.percent} percent of hosts`]),
    ...trust.map(({ key, notBefore }) => `trusts   ${key} from ${dateText(notBefore)} on`),
    ...revoke.map((key) => `revokes  ${key}`),
    `key      ${publicKey}`,
  ].join('\n')
}

function dateText(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}
