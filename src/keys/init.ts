import { generateKeyPairSync } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import { hasCode, UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { syncFolder } from '../system/atomic-file.ts'
import { listKeys, loadSigningKey, signingKeyVariable } from './files.ts'
import { keepOutOfGit, refuseKeysInStore } from './guard.ts'
import { encodePublicKey } from './public-key.ts'

export interface NewKey {
  readonly name: string
  readonly publicKey: string
  readonly privateFile: string
  readonly publicFile: string
}

type KeyConfig = Pick<Config, 'keysDir' | 'store'>

/**
 * Makes an Ed25519 key pair in the keys folder: `<name>.key` (PKCS#8 PEM, 0600) and `<name>.pub`. Throws a UserError, exit
 * code 1 where the name is taken, exit code 2 where the folder is in the store or git would see the private key.
 */
export async function initKeys(config: KeyConfig, name: string, reporter: Reporter): Promise<NewKey> {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name)) {
    throw new UserError(`'${name}' is no key name`, { hint: 'use lower-case letters, digits and -', exitCode: 2 })
  }
  const privateFile = join(config.keysDir, `${name}.key`)
  const publicFile = join(config.keysDir, `${name}.pub`)
  refuseKeysInStore(config)
  refuseOverwrite(name, [privateFile, publicFile])
  await mkdir(config.keysDir, { recursive: true, mode: 0o700 })
  await warnAboutOpenFolder(config.keysDir, reporter)
  await keepOutOfGit(config.keysDir, privateFile, reporter)
  const { privateKey } = generateKeyPairSync('ed25519')
  const publicKey = encodePublicKey(privateKey)
  await writeNew(name, privateFile, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
  await writeNew(name, publicFile, `${publicKey}\n`, 0o644)
  await syncFolder(config.keysDir)
  return { name, publicKey, privateFile, publicFile }
}

/** Makes sure that there is a key to sign with, and says so where it had to make one. */
export async function ensureKeys(config: KeyConfig, reporter: Reporter): Promise<void> {
  if (process.env[signingKeyVariable] !== undefined) {
    loadSigningKey(config)
    return
  }
  if (
    existsSync(join(config.keysDir, 'default.key')) ||
    listKeys(config).some((key) => key.privateFile !== undefined)
  ) {
    const { publicKey } = loadSigningKey(config)
    // An interrupted init leaves the private key alone.
    if (listKeys(config).length === 0)
      await writeNew('default', join(config.keysDir, 'default.pub'), `${publicKey}\n`, 0o644)
    return
  }
  const key = await initKeys(config, 'default', reporter)
  reporter.emit({ type: 'note', text: `made a signing key: ${key.privateFile}` })
}

function refuseOverwrite(name: string, files: readonly string[]): void {
  const taken = files.find((file) => existsSync(file))
  if (taken !== undefined) throw nameTaken(name, taken)
}

function nameTaken(name: string, file: string): UserError {
  return new UserError(`there is a key '${name}' already: ${file}`, {
    hint: `hosts trust it, so it is not replaced; for a second key run 'parbake keys init --name OTHER'`,
    code: 'key-exists',
  })
}

async function writeNew(name: string, path: string, text: string, mode: number): Promise<void> {
  try {
    // Exclusive, so that of two that run at once one fails; umask may take bits away, never add some.
    const file = await open(path, 'wx', mode)
    try {
      await file.writeFile(text)
      await file.sync()
    } catch (error) {
      await rm(path, { force: true })
      throw error
    } finally {
      await file.close()
    }
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw nameTaken(name, path)
    if (hasCode(error, 'EACCES') || hasCode(error, 'EROFS') || hasCode(error, 'ENOSPC')) {
      throw new UserError(`cannot write ${path}`, { hint: `set 'keysDir' in parbake.yaml`, cause: error })
    }
    throw error
  }
}

async function warnAboutOpenFolder(keysDir: string, reporter: Reporter): Promise<void> {
  if (((await stat(keysDir)).mode & 0o022) !== 0) {
    reporter.emit({
      type: 'warning',
      text: `other users can put files into ${keysDir}, and every .pub in it is trusted`,
      hint: `run: chmod 700 ${keysDir}`,
    })
  }
}
