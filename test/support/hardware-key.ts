import { generateKeyPairSync } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodePublicKey } from '../../src/keys/public-key.ts'

/** A key that only openssl, told where it lies, can use: as an HSM's tool would. */
export async function hardwareKey(folder: string) {
  const { privateKey } = generateKeyPairSync('ed25519')
  const file = join(folder, 'hsm.pem')
  await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const script = join(folder, 'sign')
  // openssl wants a file with -rawin.
  const body = `#!/bin/sh\nset -eu\nt=$(mktemp)\ntrap 'rm -f "$t"' EXIT\ncat >"$t"\nopenssl pkeyutl -sign -inkey '${file}' -rawin -in "$t"`
  await writeFile(script, `${body}\n`)
  await chmod(script, 0o755)
  const base64 = join(folder, 'sign-base64')
  await writeFile(base64, `#!/bin/sh\n'${script}' | base64\n`)
  await chmod(base64, 0o755)
  return { privateKey, publicKey: encodePublicKey(privateKey), script, base64 }
}
