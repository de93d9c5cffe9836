import { normalize, sep } from 'node:path'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { readInput, readTextFile, type Found } from './files.ts'
import type { RenderedFile } from './model.ts'

/** The files that one step names: those written in the recipe itself, else those of the recipe folder. */
export interface StepFiles {
  readText(path: string): Promise<Found<string>>
  /** A file, or all files of a folder, with paths relative to the recipe folder; sorted. */
  readFiles(path: string): Promise<Found<readonly RenderedFile[]>>
  /** What was read so far, sorted by path. */
  seen(): readonly RenderedFile[]
}

/** `inline` is the step's own mapping as written; what does not fit the schema is left out. */
export function stepFiles(folder: string, inline: unknown): StepFiles {
  const own = inlineFiles(inline)
  const seen = new Map<string, RenderedFile>()
  const readFiles = async (path: string): Promise<Found<readonly RenderedFile[]>> => {
    const name = plainPath(path)
    const written = own.filter((file) => file.path === name || file.path.startsWith(`${name}/`))
    const found = written.length > 0 ? { ok: true as const, value: written } : await readInput(folder, path)
    if (found.ok) for (const file of found.value) seen.set(file.path, file)
    return found
  }
  return {
    readFiles,
    readText: async (path) => {
      const name = plainPath(path)
      const written = own.find((file) => file.path === name)
      if (written !== undefined) {
        seen.set(name, written)
        return { ok: true, value: written.content.toString('utf8') }
      }
      const found = await readTextFile(folder, path)
      if (found.ok && !seen.has(name)) {
        seen.set(name, { path: name, executable: false, content: Buffer.from(found.value) })
      }
      return found
    },
    seen: () => [...seen.values()].toSorted((a, b) => compareCodeUnits(a.path, b.path)),
  }
}

function plainPath(path: string): string {
  return normalize(path)
    .split(sep)
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

function inlineFiles(raw: unknown): readonly RenderedFile[] {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return []
  return Object.entries(raw)
    .flatMap(([path, value]: [string, unknown]): RenderedFile[] => {
      if (typeof value === 'string') return [{ path, executable: false, content: Buffer.from(value) }]
      if (typeof value !== 'object' || value === null) return []
      const { content, base64, executable } = value as Readonly<Record<string, unknown>>
      const bytes =
        typeof content === 'string'
          ? Buffer.from(content)
          : typeof base64 === 'string'
            ? Buffer.from(base64, 'base64')
            : undefined
      return bytes === undefined ? [] : [{ path, executable: executable === true, content: bytes }]
    })
    .toSorted((a, b) => compareCodeUnits(a.path, b.path))
}
