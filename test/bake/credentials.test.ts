import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { credentialsAtHand } from '../../src/bake/credentials.ts'
import { loadConfig } from '../../src/load-config.ts'
import { sealNeedles } from '../../src/seal/needles.ts'
import { loadServeCredentials } from '../../src/store/server/credentials.ts'
import { tempDir } from '../../src/system/temp.ts'

test('what a bake could leak is looked for: keys of hosts, of the embedded store, for signing', async () => {
  await using folder = await tempDir('test-credentials')
  const { privateKey } = generateKeyPairSync('ed25519')
  const { hosts } = await loadConfig(folder.path)
  const config = { hosts: { ...hosts, accessKeyEnv: 'ANY_NAME', secretKeyEnv: 'OTHER' }, stateDir: folder.path }
  const env = { ANY_NAME: 'minioadmin', OTHER: 'key-of-4-hosts' }
  const key = { privateKey, publicKey: '' }
  expect(Object.keys(await credentialsAtHand(config, key, env))).toEqual(['OTHER', 'signing key'])
  const { secretKey } = await loadServeCredentials(folder.path)
  const credentials = await credentialsAtHand(config, key, env)
  expect(credentials).toMatchObject({ OTHER: 'key-of-4-hosts', 'secret key of the embedded store': secretKey })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const found = sealNeedles({ credentials }).filter(({ bytes }) => pem.includes(bytes.toString('latin1')))
  expect(found.map(({ name }) => name)).toEqual(['credential signing key'])
})
