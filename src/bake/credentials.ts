import type { KeyAtHand } from '../bundle/channel.ts'
import type { Config } from '../config.ts'
import { isTrivial } from '../seal/needles.ts'
import { readServeCredentials } from '../store/server/credentials.ts'

/**
 * Secrets that a bake has at hand besides its environment's, by a name to show: none of them has any business in an image.
 * Words that many a file holds (`minioadmin`) are left out.
 */
export async function credentialsAtHand(
  config: Pick<Config, 'hosts' | 'stateDir'>,
  { privateKey }: KeyAtHand,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Readonly<Record<string, string>>> {
  const { accessKeyEnv, secretKeyEnv } = config.hosts
  const embedded = await readServeCredentials(config.stateDir)
  const all: Readonly<Record<string, string | undefined>> = {
    [accessKeyEnv]: env[accessKeyEnv],
    [secretKeyEnv]: env[secretKeyEnv],
    'access key of the embedded store': embedded?.accessKey,
    'secret key of the embedded store': embedded?.secretKey,
    // As its file has it.
    'signing key': privateKey?.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  }
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined && !isTrivial(entry[1])),
  )
}
