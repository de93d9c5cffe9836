import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { tempDir } from '../../src/system/temp.ts'
import { repository } from './source-files.ts'

/** The built program: `.ci/setup test` builds it before the tests run. */
export const cliPath = join(repository, 'dist', 'cli.js')

/** A private home, working directory and state, so that nothing of the machine's user is read or changed. */
export interface CliHome extends AsyncDisposable {
  /** The working directory; holds no parbake.yaml at first. */
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

export interface CliResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly cwd: string
  /** Added to the home's environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** Makes a home that is removed when disposed. */
export async function cliHome(): Promise<CliHome> {
  const dir = await tempDir('cli-test')
  const cwd = join(dir.path, 'work')
  const home = join(dir.path, 'home')
  await Promise.all([cwd, home].map((path) => mkdir(path, { recursive: true })))
  return {
    cwd,
    env: {
      PATH: process.env['PATH'] ?? '',
      LANG: 'C.UTF-8',
      HOME: home,
      TMPDIR: dir.path,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_CACHE_HOME: join(home, 'cache'),
      XDG_STATE_HOME: join(home, 'state'),
      PARBAKE_CACHE: join(home, 'parbake-cache'),
      PARBAKE_STATE: join(home, 'parbake-state'),
    },
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  }
}

/** Runs the program to its end; never throws for what it exits with. */
export function runCli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  return collect(startCli(args, options))
}

/** Starts the program without waiting, for tests that signal it. */
export function startCli(args: readonly string[], options: CliOptions): ChildProcess {
  return spawn(process.execPath, [cliPath, ...args], {
    cwd: options.cwd,
    env: { ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs a line of bash in which `$PARBAKE` is the program, for pipes and limits. */
export function runShell(line: string, options: CliOptions): Promise<CliResult> {
  return collect(
    spawn('bash', ['-c', line], {
      cwd: options.cwd,
      env: { ...options.env, PARBAKE: `${process.execPath} ${cliPath}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
}

/** Waits until a started program has ended and its output is read. */
export function collect(child: ChildProcess): Promise<CliResult> {
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}
