import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** Where administrators' programs are that a user's PATH often leaves out. */
const extraFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** Absolute path of a program on PATH (or in the usual sbin folders), or undefined. */
export async function findTool(name: string, path = process.env['PATH'] ?? ''): Promise<string | undefined> {
  const folders = [...path.split(delimiter).filter((folder) => folder !== ''), ...extraFolders]
  for (const folder of folders) {
    const candidate = join(folder, name)
    if (await isExecutableFile(candidate)) return candidate
  }
  return undefined
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}
