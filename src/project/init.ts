import { mkdir, open } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { exitCodes, hasCode, messageOf, UserError } from '../errors.ts'
import { displayPath } from '../util/display-path.ts'
import { projectFiles, type ProjectAnswers } from './scaffold.ts'

export interface Initialised {
  /** Absolute. */
  readonly folder: string
  /** Paths relative to the folder. */
  readonly created: readonly string[]
  /** Were there before, whatever they hold. */
  readonly left: readonly string[]
}

/** Writes what a new project has and the folder has not; nothing that is there is changed. Throws UserError. */
export async function initProject(
  folder: string,
  answers: ProjectAnswers,
  { dryRun }: { readonly dryRun: boolean },
): Promise<Initialised> {
  const created: string[] = []
  const left: string[] = []
  for (const { path, text } of projectFiles(answers)) {
    const file = join(folder, path)
    const isNew = dryRun ? !existsSync(file) : await writeNew(file, text)
    ;(isNew ? created : left).push(path)
  }
  return { folder, created, left }
}

/** False where there is something of that name. */
async function writeNew(file: string, text: string): Promise<boolean> {
  try {
    await mkdir(dirname(file), { recursive: true })
  } catch (error) {
    throw cannotWrite(file, error)
  }
  try {
    const handle = await open(file, 'wx')
    try {
      await handle.writeFile(text)
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw cannotWrite(file, error)
  }
}

function cannotWrite(file: string, cause: unknown): UserError {
  return new UserError(`cannot write ${displayPath(file)}: ${messageOf(cause)}`, {
    hint: 'name a folder that can be written',
    exitCode: exitCodes.usage,
    cause,
  })
}
