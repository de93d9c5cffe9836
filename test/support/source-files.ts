import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Absolute path of the repository. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

export interface SourceFile {
  /** Relative to src, with `/`. */
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** As resolved relative to src (`util/sha256.ts`), or the bare specifier (`node:fs`, `minio`). */
  readonly target: string
  readonly local: boolean
  readonly typeOnly: boolean
}

/** Every TypeScript file of src with its imports, static, dynamic and re-exported. */
export function readSourceFiles(): SourceFile[] {
  const root = join(repository, 'src')
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      return { path, text, imports: findImports(path, text) }
    })
}

/** Reads import specifiers by pattern; comments are dropped first, so that examples in docstrings do not count. */
export function findImports(path: string, text: string): Import[] {
  const code = text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')
  const statements = code.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const dynamic = code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)
  return [
    ...[...statements].map((match) => toImport(path, match[2] ?? '', match[1] !== undefined)),
    ...[...dynamic].map((match) => toImport(path, match[1] ?? '', false)),
  ]
}

function toImport(path: string, specifier: string, typeOnly: boolean): Import {
  const local = specifier.startsWith('.')
  return { target: local ? posix.join(posix.dirname(path), specifier) : specifier, local, typeOnly }
}
