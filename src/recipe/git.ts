import { mkdir, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasCode, messageOf, UserError } from '../errors.ts'
import { run } from '../system/run.ts'
import { tempDir } from '../system/temp.ts'

/** A revision of a repository, pinned. */
export interface GitRevision {
  readonly url: string
  /** 40 hex digits. */
  readonly commit: string
}

export const commitPattern = /^[0-9a-f]{40}$/

/** Transports that run no command of the URL's choosing. */
const urlPattern = /^(?:(?:https|ssh|git|file):\/\/[^\s-]|[A-Za-z0-9_.]+@[A-Za-z0-9.-]+:[^\s]|\/)/

const environment = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_ALLOW_PROTOCOL: 'https:ssh:git:file',
  LC_ALL: 'C',
}
/** What reads a checkout must not depend on how this user has set up git. */
const ownConfig = { ...environment, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }

const fetchTimeoutMs = 300_000
const lookUpTimeoutMs = 20_000

/** Why a URL cannot be fetched from, or undefined. */
export function urlFinding(url: string): string | undefined {
  return urlPattern.test(url)
    ? undefined
    : `'${url}' is no URL that is fetched from: https://, ssh://, git://, file:// or user@host:path`
}

/**
 * The folder with the files of a commit, fetched into the cache unless it is there untouched. Safe beside other processes.
 * Throws UserError where it cannot be fetched.
 */
export async function checkOut({ url, commit }: GitRevision, cacheDir: string): Promise<string> {
  const folder = join(cacheDir, 'git', commit)
  if (await isUntouched(folder, commit)) return realpath(folder)
  await mkdir(dirname(folder), { recursive: true })
  await using temporary = await tempDir('git', dirname(folder))
  const fresh = join(temporary.path, commit)
  await fetchCommit(url, commit, fresh)
  if (!(await isUntouched(fresh, commit))) {
    throw new UserError(`what ${url} sent for commit ${commit} is not that commit`, { code: 'git-mismatch' })
  }
  await rm(folder, { recursive: true, force: true })
  try {
    await rename(fresh, folder)
  } catch (error) {
    // Another process was faster; what it put there is looked at like any other.
    if (!(hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST'))) throw error
    if (!(await isUntouched(folder, commit))) throw error
  }
  return await realpath(folder)
}

/** The commit that a branch or tag names now; undefined where that cannot be told. Needs the network. */
export async function lookUpRevision(url: string, name: string): Promise<string | undefined> {
  if (urlFinding(url) !== undefined || name.startsWith('-')) return undefined
  try {
    const { stdout } = await git(['ls-remote', '--', url], environment, lookUpTimeoutMs)
    const refs = new Map(stdout.split('\n').map((line) => line.split('\t').toReversed() as [string, string]))
    const wanted = [`refs/tags/${name}^{}`, `refs/tags/${name}`, `refs/heads/${name}`, name]
    return wanted.map((ref) => refs.get(ref)).find((commit) => commit !== undefined && commitPattern.test(commit))
  } catch {
    return undefined
  }
}

async function fetchCommit(url: string, commit: string, folder: string): Promise<void> {
  await mkdir(folder)
  await git([...inFolder(folder), 'init', '--quiet'], ownConfig)
  const fetch = (...what: readonly string[]) =>
    git(
      [
        ...inFolder(folder),
        '-c',
        'transfer.fsckObjects=true',
        'fetch',
        '--quiet',
        '--no-tags',
        '--no-auto-gc',
        ...what,
      ],
      environment,
      fetchTimeoutMs,
    )
  try {
    // Not every server hands out a commit by its name alone.
    await fetch('--depth=1', '--', url, commit).catch(() => fetch('--', url, '+refs/*:refs/fetched/*'))
  } catch (error) {
    throw new UserError(`cannot fetch ${url}: ${messageOf(error)}`, { code: 'git-failed', cause: error })
  }
  try {
    await git([...inFolder(folder), '-c', 'core.autocrlf=false', 'checkout', '--quiet', '--detach', commit], ownConfig)
  } catch (error) {
    throw new UserError(`${url} has no commit ${commit}`, {
      hint: 'is it pushed, and the right repository?',
      code: 'git-no-commit',
      cause: error,
    })
  }
}

/** Whether the folder holds that commit and nothing else: git hashes what has changed since it wrote it. */
async function isUntouched(folder: string, commit: string): Promise<boolean> {
  const state = ['status', '--porcelain=v2', '--branch', '--untracked-files=all', '--ignored']
  try {
    const { stdout } = await git([...inFolder(folder), '-c', 'core.fsmonitor=false', ...state], ownConfig)
    const [head, ...others] = stdout.trimEnd().split('\n')
    return head === `# branch.oid ${commit}` && others.every((line) => line.startsWith('# '))
  } catch (error) {
    if (error instanceof UserError && error.code === 'tool-missing') throw error
    return false
  }
}

/** Whatever GIT_DIR says in the environment, as it does in hooks. */
function inFolder(folder: string): readonly string[] {
  return ['-C', folder, `--git-dir=${join(folder, '.git')}`, `--work-tree=${folder}`]
}

function git(args: readonly string[], env: Readonly<Record<string, string>>, timeoutMs = 60_000) {
  return run('git', args, { env, timeoutMs, purpose: 'read recipes from git' })
}
