import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadAgent } from '../bundle/agent.ts'
import { squeezeShell } from '../bundle/squeeze-shell.ts'
import { cloudConfig } from '../cloud-config/index.ts'
import { keys } from '../store/keys.ts'
import type { Sha256 } from '../util/sha256.ts'
import type { BakeJob } from './engine.ts'

/** Label of the medium; bootstrap/bake.sh mounts it by this name. */
export const mediumLabel = 'PARBAKE'

/** Where the driver lives in the guest: in memory, so that nothing of it is in the image. */
export const guestFolder = '/run/parbake-bake'

/** A script of the bootstrap folder as text. */
export function bootstrapScript(name: 'bake.sh' | 'seal.sh' | 'tune.sh'): string {
  return readFileSync(new URL(`../../bootstrap/${name}`, import.meta.url), 'utf8')
}

/**
 * The user-data of a bake. It holds nothing of the recipe, so that one booted base serves every recipe, and no credential.
 * With `driverPort` cloud-init starts bootstrap/bake.sh on that port.
 */
export function bakeUserData(driverPort?: string): string {
  // No login is needed, and what is not made need not be removed.
  const config = cloudConfig().set('users', []).set('ssh_genkeytypes', ['ed25519'])
  if (driverPort === undefined) return config.render()
  return (
    config
      .writeFile({
        path: `${guestFolder}/bake.sh`,
        content: squeezeShell(bootstrapScript('bake.sh')),
        permissions: '0700',
        encoding: 'gzip',
      })
      // On its own, because it goes on when cloud-init has ended, and beside the last stage, for which nobody need wait. The
      // file is there by then: this comes before it in the same stage, but waits for the one after.
      .bootCommand([
        ...['systemd-run', '--no-block', '--quiet', '--unit=parbake-bake', '--property=After=cloud-config.service'],
        ...['sh', `${guestFolder}/bake.sh`, driverPort],
      ])
      .render()
  )
}

/** Lays out what the driver needs: the part of the store that the agent reads, the agent, its settings, the scripts. */
export async function writeMedium(folder: string, job: BakeJob): Promise<void> {
  const conf = [
    `recipe=${job.recipeName}`,
    `channel=${job.channelName}`,
    `store=file://${guestFolder}/media`,
    'auth=anonymous',
    'purpose=bake',
    `every=${job.everyMinutes}`,
    ...job.trustedKeys.map((key) => `key=${key}`),
  ]
  const files = [
    { key: keys.channel(job.recipeName, job.channelName), content: job.channelText },
    { key: keys.bundle(job.recipeName, job.bundle.sha256 as Sha256), content: job.bundle.bytes },
    { key: 'agent.sh', content: loadAgent().text },
    { key: 'agent.conf', content: `${conf.join('\n')}\n` },
    { key: 'seal.sh', content: bootstrapScript('seal.sh') },
    { key: 'tune.sh', content: bootstrapScript('tune.sh') },
    ...(await readyFiles(job)),
  ]
  for (const { key, content } of files) {
    const path = join(folder, key)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
}

/** The RAM disk that the tuning need not make. */
async function readyFiles({ base: { ready } }: BakeJob) {
  if (ready?.asTuned !== true) return []
  return [
    { key: 'ready/initrd', content: await readFile(ready.initrd) },
    { key: 'ready/of', content: ready.of },
  ]
}
