import { createPrivateKey } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { ensureKeys, initKeys, listKeys, loadSigningKey, loadTrustedKeys } from '../../src/keys/index.ts'
import type { Event, Reporter } from '../../src/report/events.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'

const noEnv = { env: {} }

function configIn(root: string) {
  return { keysDir: join(root, 'keys'), store: pathToFileURL(join(root, 'store')).href }
}

function recorder(): Reporter & { readonly events: Event[] } {
  const events: Event[] = []
  return { events, emit: (event) => void events.push(event), close: () => {} }
}

async function failure(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof UserError)) throw new Error(`no UserError but ${String(error)}`)
  return error
}

describe('keys init', () => {
  it('makes a pair that openssl can use, the private one for the owner only', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const key = await initKeys(config, 'default', silentReporter)
    expect((await stat(key.privateFile)).mode & 0o777).toBe(0o600)
    expect((await stat(config.keysDir)).mode & 0o777).toBe(0o700)
    expect(await readFile(key.publicFile, 'utf8')).toBe(`${key.publicKey}\n`)
    const text = (await run('openssl', ['pkey', '-in', key.privateFile, '-pubout'])).stdout
    expect(text.replaceAll('\n', '')).toBe(`-----BEGIN PUBLIC KEY-----${key.publicKey}-----END PUBLIC KEY-----`)
    expect((await readdir(config.keysDir)).toSorted()).toEqual(['default.key', 'default.pub'])
  })

  it('never overwrites, also where only one half is there, and with ten at once', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => initKeys(config, 'default', silentReporter)),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    const before = await readFile(join(config.keysDir, 'default.key'))
    const error = await failure(initKeys(config, 'default', silentReporter))
    expect(error).toMatchObject({ exitCode: 1, code: 'key-exists' })
    await rm(join(config.keysDir, 'default.pub'))
    expect((await failure(initKeys(config, 'default', silentReporter))).code).toBe('key-exists')
    expect(await readFile(join(config.keysDir, 'default.key'))).toEqual(before)
  })

  it.each(['', '../x', 'A', 'a b', '-a'])("refuses the name '%s'", async (name) => {
    await using dir = await tempDir('keys')
    const error = await failure(initKeys(configIn(dir.path), name, silentReporter))
    expect(error.exitCode).toBe(2)
  })

  it.each(['store', 'store/keys', 'store/a/b'])('refuses %s, which is in the store', async (folder) => {
    await using dir = await tempDir('keys')
    const config = { ...configIn(dir.path), keysDir: join(dir.path, folder) }
    expect((await failure(initKeys(config, 'default', silentReporter))).code).toBe('keys-in-store')
    expect(await readdir(dir.path)).toEqual([])
  })

  it('is not taken in by a folder whose name only begins like the store', async () => {
    await using dir = await tempDir('keys')
    await initKeys({ ...configIn(dir.path), keysDir: join(dir.path, 'store-keys') }, 'default', silentReporter)
  })
})

describe('keys and git', () => {
  async function repository(root: string) {
    await run('git', ['init', '--quiet', root])
    return configIn(root)
  }

  async function seenByGit(root: string): Promise<string> {
    return (await run('git', ['-C', root, 'status', '--porcelain', '--untracked-files=all'])).stdout
  }

  it('ignores private keys by a .gitignore of their own, and leaves public ones to be committed', async () => {
    await using dir = await tempDir('keys')
    const config = await repository(dir.path)
    await initKeys(config, 'default', silentReporter)
    expect(await seenByGit(dir.path)).toBe('?? keys/.gitignore\n?? keys/default.pub')
    await run('git', ['-C', dir.path, 'add', '-A'])
    expect((await run('git', ['-C', dir.path, 'ls-files'])).stdout).not.toContain('.key')
  })

  it("refuses where the folder's own .gitignore lets the key through, and does not edit it", async () => {
    await using dir = await tempDir('keys')
    const config = await repository(dir.path)
    await mkdir(config.keysDir)
    await writeFile(join(config.keysDir, '.gitignore'), 'other\n')
    expect((await failure(initKeys(config, 'default', silentReporter))).code).toBe('keys-in-git')
    expect(await readdir(config.keysDir)).toEqual(['.gitignore'])
    expect(await readFile(join(config.keysDir, '.gitignore'), 'utf8')).toBe('other\n')
  })

  it('is content with a rule of the repository', async () => {
    await using dir = await tempDir('keys')
    const config = await repository(dir.path)
    await writeFile(join(dir.path, '.gitignore'), '/keys/\n')
    await initKeys(config, 'default', silentReporter)
    expect(await seenByGit(dir.path)).toBe('?? .gitignore')
  })
})

describe('loading keys', () => {
  it('signs with the default key, the only one, or the one that was named', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const first = await initKeys(config, 'first', silentReporter)
    expect(loadSigningKey(config, noEnv).publicKey).toBe(first.publicKey)
    const second = await initKeys(config, 'second', silentReporter)
    expect(() => loadSigningKey(config, noEnv)).toThrow("none is called 'default'")
    expect(loadSigningKey(config, { ...noEnv, name: 'second' }).publicKey).toBe(second.publicKey)
    const usual = await initKeys(config, 'default', silentReporter)
    expect(loadSigningKey(config, noEnv).publicKey).toBe(usual.publicKey)
    expect(() => loadSigningKey(config, { ...noEnv, name: 'nobody' })).toThrow('there is no signing key')
  })

  it('trusts every public key, with or without its private one, each once', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    expect(loadTrustedKeys(config, {})).toEqual([])
    const mine = await initKeys(config, 'mine', silentReporter)
    const theirs = await initKeys(config, 'theirs', silentReporter)
    const pem = await readFile(theirs.privateFile, 'utf8')
    await rm(theirs.privateFile)
    expect(loadTrustedKeys(config, {})).toEqual([mine.publicKey, theirs.publicKey])
    expect(loadTrustedKeys(config, { PARBAKE_SIGNING_KEY: pem })).toEqual([mine.publicKey, theirs.publicKey])
    expect(listKeys(config).map((key) => [key.name, key.privateFile !== undefined])).toEqual([
      ['mine', true],
      ['theirs', false],
    ])
  })

  it('takes the private key from the environment first, and says nothing of it when it is wrong', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const key = await initKeys(config, 'default', silentReporter)
    await using elsewhere = await tempDir('keys')
    const empty = configIn(elsewhere.path)
    const env = { PARBAKE_SIGNING_KEY: await readFile(key.privateFile, 'utf8') }
    expect(loadSigningKey(empty, { env }).publicKey).toBe(key.publicKey)
    expect(loadTrustedKeys(empty, env)).toEqual([key.publicKey])
    const wrong = () => loadSigningKey(empty, { env: { PARBAKE_SIGNING_KEY: 'very secret' } })
    expect(wrong).toThrow(UserError)
    expect(wrong).not.toThrow(/very secret/)
  })

  it.each<[string, string, string]>([
    ['a key file that is no PEM', 'default.key', 'nonsense'],
    ['a damaged public key', 'default.pub', 'AAAA'],
    ['a private key in a .pub file', 'default.pub', '-----BEGIN PRIVATE KEY-----'],
  ])('refuses %s', async (_name, file, text) => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    await initKeys(config, 'default', silentReporter)
    await writeFile(join(config.keysDir, file), text)
    expect(() => [loadSigningKey(config, noEnv), loadTrustedKeys(config, {})]).toThrow(UserError)
  })

  it('refuses an RSA key', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    await mkdir(config.keysDir)
    const file = join(config.keysDir, 'default.key')
    await run('openssl', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', file])
    await chmod(file, 0o600)
    expect(createPrivateKey(await readFile(file)).asymmetricKeyType).toBe('rsa')
    expect(() => loadSigningKey(config, noEnv)).toThrow('does not hold an Ed25519 private key')
  })

  it('refuses a private key that others can read', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const key = await initKeys(config, 'default', silentReporter)
    await chmod(key.privateFile, 0o640)
    expect(() => loadSigningKey(config, noEnv)).toThrow('can be read by other users')
  })
})

describe('ensureKeys', () => {
  it('makes a key once and says so', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const reporter = recorder()
    await ensureKeys(config, reporter)
    const made = loadTrustedKeys(config, {})
    await ensureKeys(config, reporter)
    expect(loadTrustedKeys(config, {})).toEqual(made)
    expect(reporter.events.filter((event) => event.type === 'note')).toHaveLength(1)
  })

  it('repairs what an interrupted init left', async () => {
    await using dir = await tempDir('keys')
    const config = configIn(dir.path)
    const key = await initKeys(config, 'default', silentReporter)
    await rm(key.publicFile)
    await ensureKeys(config, silentReporter)
    expect(loadTrustedKeys(config, {})).toEqual([key.publicKey])
  })
})
