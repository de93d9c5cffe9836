import { createPrivateKey } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { SigningKey } from '../bundle/channel.ts'
import type { Config } from '../config.ts'
import { hasCode, UserError } from '../errors.ts'
import { encodePublicKey, isPublicKey } from './public-key.ts'

/** Environment variable that may hold the private key (PEM), where no file should: a CI job. */
export const signingKeyVariable = 'PARBAKE_SIGNING_KEY'

/** One key in the keys folder. */
export interface KeyEntry {
  readonly name: string
  /** Base64 SPKI DER. */
  readonly publicKey: string
  /** Absolute path of the private key, or undefined where only the public one is here. */
  readonly privateFile: string | undefined
}

type Environment = Readonly<Record<string, string | undefined>>

/** Every key of the keys folder, by name. Throws a UserError for a damaged .pub file. */
export function listKeys(config: Pick<Config, 'keysDir'>): readonly KeyEntry[] {
  const files = filesIn(config.keysDir)
  return files
    .filter((file) => file.endsWith('.pub'))
    .map((file) => {
      const name = file.slice(0, -'.pub'.length)
      const privateFile = files.includes(`${name}.key`) ? join(config.keysDir, `${name}.key`) : undefined
      return { name, publicKey: readPublicKey(join(config.keysDir, file)), privateFile }
    })
}

/**
 * The public keys (base64 SPKI DER) that hosts and publishers trust: every .pub file of the keys folder, and the key in
 * PARBAKE_SIGNING_KEY. Empty where there is none. Throws a UserError for a damaged file.
 */
export function loadTrustedKeys(config: Pick<Config, 'keysDir'>, env: Environment = process.env): readonly string[] {
  const fromEnvironment = env[signingKeyVariable]
  const own = fromEnvironment === undefined ? [] : [parsePrivateKey(fromEnvironment, signingKeyVariable).publicKey]
  return [...new Set([...listKeys(config).map((key) => key.publicKey), ...own])]
}

/**
 * The key to sign with: PARBAKE_SIGNING_KEY, else `<name>.key`; without a name `default.key`, or the only one there is.
 * Throws a UserError (exit code 2) where there is none or more than one to choose from, and where others can read the file.
 */
export function loadSigningKey(
  config: Pick<Config, 'keysDir'>,
  options: { readonly name?: string; readonly env?: Environment } = {},
): SigningKey {
  const fromEnvironment = (options.env ?? process.env)[signingKeyVariable]
  if (fromEnvironment !== undefined && options.name === undefined) {
    return parsePrivateKey(fromEnvironment, signingKeyVariable)
  }
  return readPrivateKey(join(config.keysDir, `${options.name ?? soleKeyName(config.keysDir)}.key`))
}

function soleKeyName(keysDir: string): string {
  const names = filesIn(keysDir).flatMap((file) => (file.endsWith('.key') ? [file.slice(0, -'.key'.length)] : []))
  const [first, ...others] = names
  if (first === undefined) {
    throw new UserError(`there is no signing key in ${keysDir}`, {
      hint: `run 'parbake keys init', or put the private key into ${signingKeyVariable}`,
      exitCode: 2,
      code: 'no-signing-key',
    })
  }
  if (others.length > 0 && !names.includes('default')) {
    throw new UserError(`${keysDir} holds ${names.length} signing keys and none is called 'default'`, {
      hint: `choose one with --key: ${names.join(', ')}`,
      exitCode: 2,
    })
  }
  return others.length === 0 ? first : 'default'
}

function readPublicKey(path: string): string {
  const text = readFileSync(path, 'utf8').trim()
  if (!isPublicKey(text)) {
    throw new UserError(`${path} is not a public key of parbake`, {
      hint: 'it holds one line: the base64 form of an Ed25519 key. Restore it, or move it out of the keys folder',
      exitCode: 2,
    })
  }
  return text
}

function readPrivateKey(path: string): SigningKey {
  try {
    if ((statSync(path).mode & 0o077) !== 0) {
      throw new UserError(`${path} can be read by other users of this machine`, {
        hint: `if you trust them so far, run: chmod 600 ${path}; else make a new key`,
        exitCode: 2,
      })
    }
    return parsePrivateKey(readFileSync(path, 'utf8'), path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
    throw new UserError(`there is no signing key ${path}`, {
      hint: `run 'parbake keys list' to see what is there, or 'parbake keys init' to make one`,
      exitCode: 2,
      code: 'no-signing-key',
      cause: error,
    })
  }
}

/** Reads a PEM private key; `source` names it in errors, which never hold any of its text. */
function parsePrivateKey(pem: string, source: string): SigningKey {
  try {
    const privateKey = createPrivateKey(pem)
    if (privateKey.asymmetricKeyType === 'ed25519') {
      return { privateKey, publicKey: encodePublicKey(privateKey) }
    }
  } catch {
    // OpenSSL's own message says nothing that helps, e.g. "DECODER routines::unsupported".
  }
  throw new UserError(`${source} does not hold an Ed25519 private key`, {
    hint: `it must be unencrypted PKCS#8 PEM, as 'parbake keys init' writes it`,
    exitCode: 2,
  })
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).toSorted()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
