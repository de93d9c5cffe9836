import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { hasCode, UserError } from '../errors.ts'
import { findTool } from '../system/tools.ts'
import { run } from '../system/run.ts'

/**
 * Removes a tree whatever a guest has put into it: any owner and mode, device nodes, files made immutable. Stops at
 * mount points. Resolves with false where something could not be removed.
 */
export async function removeTree(path: string): Promise<boolean> {
  // Not Node's own rm: it follows into what is mounted below.
  const remove = async () => {
    await attempt('rm', ['-rf', '--one-file-system', '--', path])
    return !(await exists(path))
  }
  if (await remove()) return true
  if ((await findTool('chattr')) === undefined) return false
  await attempt('chattr', ['-R', '-f', '-i', '-a', '--', path])
  return remove()
}

/** Only what is left afterwards counts. */
async function attempt(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, args, { allowFailure: true })
  } catch (error) {
    // Killed, as by Ctrl-C for the whole process group.
    if (!(error instanceof UserError)) throw error
  }
}

/** Moves a folder out of sight at once, so that an interrupted removal leaves no half of it; `emptyTrash` does the rest. */
export async function moveToTrash(folder: string, trash: string): Promise<void> {
  await mkdir(trash, { recursive: true })
  try {
    await rename(folder, join(trash, `${basename(folder)}-${randomBytes(4).toString('hex')}`))
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}

/** Removes what is in the trash and resolves with the paths that could not be removed. */
export async function emptyTrash(trash: string): Promise<readonly string[]> {
  const names = await readdir(trash).catch(() => [])
  const left: string[] = []
  for (const name of names) {
    const path = join(trash, name)
    if (!(await removeTree(path))) left.push(path)
  }
  return left
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch {
    return false
  }
}
