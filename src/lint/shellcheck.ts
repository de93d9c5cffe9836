import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { tempDir } from '../system/temp.ts'
import { findTool } from '../system/find-tool.ts'
import { sha256, type Sha256 } from '../util/sha256.ts'
import type { Finding, LintedRecipe, LintedScript, Severity } from './model.ts'

/** What shellcheck says of one place; lines and columns from 1. */
interface Comment {
  readonly line: number
  readonly column: number
  readonly level: string
  readonly code: number
  readonly message: string
}

/** A script as shellcheck gets it, and where its lines stand. */
export interface ShellcheckJob {
  readonly step: string
  /** Names of the step's environment. */
  readonly env: ReadonlySet<string>
  readonly text: string
  readonly digest: Sha256
  readonly addedLines: number
  readonly locateLine: LintedScript['locateLine']
}

const severities: Readonly<Record<string, Severity>> = {
  error: 'error',
  warning: 'warning',
  info: 'hint',
  style: 'hint',
}

/** Sourced files are not there, and `local` is in every sh that hosts have. */
const excluded = 'SC1090,SC1091,SC3043'

/** Files of one run of shellcheck. */
const batch = 400

/** Scripts whose findings are remembered. */
const remembered = 20_000

/** The shell scripts of a recipe. */
export function shellcheckJobs({ steps }: LintedRecipe): readonly ShellcheckJob[] {
  return steps.flatMap(({ step, script }) => {
    if (script?.dialect === undefined) return []
    const { addedLines, locateLine } = script
    const text = addedLines === 0 ? script.text : `#!/bin/sh\nset -eu\n${script.text}`
    const env = new Set(Object.keys(step.rendered.env))
    return [{ step: step.name, env, text, digest: sha256(text), addedLines, locateLine }]
  })
}

/**
 * What shellcheck finds in scripts, by script; undefined where it is not installed. It runs once for all that it has not
 * seen; what it said of the others is in the cache.
 */
export async function shellcheckFindings(
  context: Context,
  jobs: readonly ShellcheckJob[],
): Promise<((job: ShellcheckJob) => readonly Finding[]) | undefined> {
  const tool = await findTool('shellcheck')
  if (tool === undefined) return undefined
  const memory = await Memory.open(join(context.config.cacheDir, 'lint', 'shellcheck.json'), tool)
  const unseen = new Map(jobs.flatMap(({ digest, text }) => (memory.has(digest) ? [] : [[digest, text] as const])))
  const texts = [...unseen]
  for (let start = 0; start < texts.length; start += batch) {
    await runShellcheck(context, tool, texts.slice(start, start + batch), memory)
  }
  if (texts.length > 0) await memory.save()
  return (job) => memory.get(job.digest).flatMap((said) => findingOf(job, said))
}

async function runShellcheck(
  context: Context,
  tool: string,
  texts: readonly (readonly [Sha256, string])[],
  memory: Memory,
): Promise<void> {
  const { lastLines, run } = await import('../system/run.ts')
  await using folder = await tempDir('shellcheck')
  await Promise.all(texts.map(([digest, text]) => writeFile(join(folder.path, digest), text)))
  const args = ['--norc', '--format=json1', `--exclude=${excluded}`, '--', ...texts.map(([digest]) => digest)]
  // It exits with 1 where it finds something.
  const { exitCode, stdout, stderr } = await run(tool, args, {
    cwd: folder.path,
    env: { LC_ALL: 'C.UTF-8' },
    signal: context.signal,
    reporter: context.reporter,
    purpose: 'check scripts',
    allowFailure: true,
  })
  if (exitCode > 1) {
    throw new UserError(`shellcheck could not check the scripts:\n${lastLines(stderr, 5)}`, {
      hint: 'see shellcheck --version (0.7 or newer is needed), or go without it: --except shellcheck',
    })
  }
  const { comments } = JSON.parse(stdout) as { readonly comments: readonly (Comment & { readonly file: string })[] }
  const byFile = new Map<string, Comment[]>(texts.map(([digest]) => [digest, []]))
  for (const { file, line, column, level, code, message } of comments) {
    byFile.get(file)?.push({ line, column, level, code, message })
  }
  for (const [digest] of texts) memory.set(digest, byFile.get(digest) ?? [])
}

function findingOf(job: ShellcheckJob, { line, column, level, code, message }: Comment): Finding[] {
  // Names in lower case may come from the step's environment.
  const name = code === 2154 ? /^(\w+) is referenced/.exec(message)?.[1] : undefined
  if (name !== undefined && job.env.has(name)) return []
  const id = `SC${code}`
  return [
    {
      id,
      severity: severities[level] ?? 'warning',
      message,
      location: job.locateLine(Math.max(1, line - job.addedLines), column),
      fix: `see https://www.shellcheck.net/wiki/${id}`,
      step: job.step,
    },
  ]
}

/** What a shellcheck said of scripts, by their digest. Another shellcheck begins anew. */
class Memory {
  private readonly file: string
  private readonly key: string
  private readonly entries: Map<string, readonly Comment[]>

  private constructor(file: string, key: string, entries: Map<string, readonly Comment[]>) {
    this.file = file
    this.key = key
    this.entries = entries
  }

  static async open(file: string, tool: string): Promise<Memory> {
    const { size, mtimeMs } = await stat(tool)
    const key = `${tool} ${size} ${mtimeMs} ${excluded}`
    try {
      const stored = JSON.parse(await readFile(file, 'utf8')) as Stored
      if (stored.key === key) return new Memory(file, key, new Map(Object.entries(stored.entries)))
    } catch {
      // None yet, or a torn one: it costs a run of shellcheck.
    }
    return new Memory(file, key, new Map())
  }

  has(digest: Sha256): boolean {
    return this.entries.has(digest)
  }

  get(digest: Sha256): readonly Comment[] {
    return this.entries.get(digest) ?? []
  }

  set(digest: Sha256, comments: readonly Comment[]): void {
    this.entries.set(digest, comments)
  }

  /** Where the cache cannot be written, nothing is remembered. */
  async save(): Promise<void> {
    const entries = Object.fromEntries([...this.entries].slice(-remembered))
    const stored: Stored = { key: this.key, entries }
    await writeFileAtomic(this.file, JSON.stringify(stored), 0o644, { durable: false }).catch(() => {})
  }
}

interface Stored {
  readonly key: string
  readonly entries: Readonly<Record<string, readonly Comment[]>>
}
