import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config.ts'
import { hasCode, UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'

/** Throws a UserError (exit code 2) where private keys would lie in the folder that is the object store. */
export function refuseKeysInStore(config: Pick<Config, 'keysDir' | 'store'>): void {
  if (!config.store.startsWith('file://')) return
  const storeDir = resolve(fileURLToPath(new URL(config.store.replace(/[?#].*$/, ''))))
  const path = relative(storeDir, resolve(config.keysDir))
  if (path !== '..' && !path.startsWith(`..${sep}`)) {
    throw new UserError(`the keys folder ${config.keysDir} is inside the object store ${storeDir}`, {
      hint: `whoever reads the store would read the private key: set 'keysDir' in parbake.yaml to another place`,
      exitCode: 2,
      code: 'keys-in-store',
    })
  }
}

/**
 * Keeps private keys out of git: the folder gets a .gitignore of its own unless it has one, and git is then asked whether
 * it really ignores the key. Throws a UserError (exit code 2) where it does not; nobody's .gitignore is edited.
 */
export async function keepOutOfGit(keysDir: string, keyFile: string, reporter: Reporter): Promise<void> {
  if (!isInWorkTree(keysDir)) return
  const ignoreFile = join(keysDir, '.gitignore')
  try {
    await writeFile(ignoreFile, '# Private signing keys. The .pub files may be committed.\n*.key\n', { flag: 'wx' })
    reporter.emit({ type: 'note', text: `wrote ${ignoreFile}, so that git leaves private keys alone` })
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  const verdict = await askGit(keysDir, keyFile)
  if (verdict === 'unknown') {
    reporter.emit({
      type: 'warning',
      text: `${keyFile} is inside a git work tree and git could not confirm that it is ignored`,
      hint: `check that ${ignoreFile} holds '*.key'`,
    })
    return
  }
  if (verdict === 'visible') {
    const own = await readFile(ignoreFile, 'utf8')
    throw new UserError(`git would see the private key ${keyFile}`, {
      hint: own.includes('*.key')
        ? `another rule un-ignores it, or it is tracked already: see 'git check-ignore -v ${keyFile}'`
        : `add the line '*.key' to ${ignoreFile}, or set 'keysDir' in parbake.yaml to a place outside the repository`,
      exitCode: 2,
      code: 'keys-in-git',
    })
  }
}

function isInWorkTree(folder: string): boolean {
  for (let at = resolve(folder); ; at = dirname(at)) {
    if (existsSync(join(at, '.git'))) return true
    if (dirname(at) === at) return false
  }
}

async function askGit(keysDir: string, keyFile: string): Promise<'ignored' | 'visible' | 'unknown'> {
  // Loaded here, because only making keys needs it.
  const { run } = await import('../system/run.ts')
  try {
    // Without --no-index, a key that is tracked already counts as visible, as it should.
    const result = await run('git', ['-C', keysDir, 'check-ignore', '--quiet', keyFile], { allowFailure: true })
    return result.exitCode === 0 ? 'ignored' : result.exitCode === 1 ? 'visible' : 'unknown'
  } catch (error) {
    if (error instanceof UserError) return 'unknown'
    throw error
  }
}
