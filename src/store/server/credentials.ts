import { randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, UserError } from '../../errors.ts'
import type { ServerCredentials } from './auth.ts'

/**
 * The embedded store's keys, made once and kept in `<stateDir>/embedded-store.json` (mode 0600). Two processes that
 * start at once get the same. Throws UserError where the file is not what was written.
 */
export async function loadServeCredentials(stateDir: string): Promise<ServerCredentials> {
  const path = credentialsFile(stateDir)
  const existing = await readCredentials(path)
  if (existing !== undefined) return existing
  const made: ServerCredentials = {
    accessKey: `PB${randomBytes(9).toString('hex').toUpperCase()}`,
    secretKey: randomBytes(30).toString('base64url'),
  }
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', 0o600)
    await file.writeFile(`${JSON.stringify(made, null, 2)}\n`)
    await file.sync()
    await file.close()
    // Unlike rename, link leaves the keys of whoever was first.
    await link(temporary, path)
    return made
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    return (await readCredentials(path)) ?? made
  } finally {
    await rm(temporary, { force: true })
  }
}

/** The same, or undefined where nobody has needed them yet. */
export async function readServeCredentials(stateDir: string): Promise<ServerCredentials | undefined> {
  return readCredentials(credentialsFile(stateDir))
}

function credentialsFile(stateDir: string): string {
  return join(stateDir, 'embedded-store.json')
}

async function readCredentials(path: string): Promise<ServerCredentials | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw new UserError(`cannot read ${path}`, { cause: error, hint: 'it belongs to whoever started the store first' })
  }
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null && 'accessKey' in value && 'secretKey' in value) {
    const { accessKey, secretKey } = value
    if (typeof accessKey === 'string' && typeof secretKey === 'string') return { accessKey, secretKey }
  }
  throw new UserError(`${path} does not hold the embedded store's keys`, {
    hint: 'delete it, so that new keys are made; hosts that have the old ones lose access',
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
