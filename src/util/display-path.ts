import { isAbsolute, relative } from 'node:path'

/** A path as messages show it: relative where it is below the working directory, else absolute. */
export function displayPath(path: string, cwd = process.cwd()): string {
  const short = relative(cwd, path)
  return short === '' ? '.' : short.startsWith('..') || isAbsolute(short) ? path : short
}
