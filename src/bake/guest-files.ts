import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadAgent } from '../bundle/agent.ts'
import { squeezeShell } from '../bundle/squeeze-shell.ts'
import { cloudConfig } from '../cloud-config/index.ts'
import { keys } from '../store/keys.ts'
import { agentPath } from '../user-data/render.ts'
import type { Sha256 } from '../util/sha256.ts'
import type { BakeJob } from './engine.ts'

/** Label of the medium that carries the bundle; bootstrap/bake.sh mounts it by this name. */
export const mediumLabel = 'PARBAKE'

/** In memory only, so that nothing of it is in the image. */
const guestFolder = '/run/parbake-bake'

/** The user-data of a bake: the agent, the scripts that bake and seal. It holds no credential of any store. */
export function bakeUserData(job: BakeJob): string {
  const conf = [
    `recipe=${job.recipeName}`,
    `channel=${job.channelName}`,
    `store=file://${guestFolder}/media`,
    'auth=anonymous',
    'purpose=bake',
    `every=${job.everyMinutes}`,
    ...job.trustedKeys.map((key) => `key=${key}`),
  ]
  const script = (name: string) => ({
    path: `${guestFolder}/${name}`,
    content: squeezeShell(readFileSync(new URL(`../../bootstrap/${name}`, import.meta.url), 'utf8')),
    permissions: '0700',
    encoding: 'gzip' as const,
  })
  return (
    cloudConfig()
      // No login is needed, and what is not made need not be removed.
      .set('users', [])
      .set('ssh_genkeytypes', ['ed25519'])
      .writeFile({ path: agentPath, content: loadAgent().text, permissions: '0755', encoding: 'gzip' })
      .writeFile({ path: `${guestFolder}/agent.conf`, content: `${conf.join('\n')}\n`, permissions: '0600' })
      .writeFile(script('seal.sh'))
      .writeFile(script('bake.sh'))
      // On its own, because it goes on when cloud-init has ended.
      .runCommand([
        'systemd-run',
        '--no-block',
        '--quiet',
        '--unit=parbake-bake',
        'sh',
        `${guestFolder}/bake.sh`,
        job.imageId,
        job.stepNames.join(','),
      ])
      .render()
  )
}

/** Lays out the part of the store that the bake needs, as the agent finds it in a store. */
export async function writeMedium(folder: string, job: BakeJob): Promise<void> {
  const files = [
    { key: keys.channel(job.recipeName, job.channelName), content: job.channelText },
    { key: keys.bundle(job.recipeName, job.bundle.sha256 as Sha256), content: job.bundle.bytes },
  ]
  for (const { key, content } of files) {
    const path = join(folder, key)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
}
