import { lstatSync, readdirSync, readFileSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { slices } from '../util/slices.ts'
import { FileScanner, type FileMatch } from './file-scanner.ts'
import { globSource } from './glob.ts'
import { sealList, type SealEntry } from './list.ts'
import { PackageFiles } from './package-files.ts'
import { isSecretFile } from './secret-rules.ts'

/** Something that must not be on a sealed disk. */
export interface Finding {
  /** Of the rule: an entry of the seal list, a form of secret, `needle` or `deleted-data`. */
  readonly id: string
  /** A path with a line or byte, or a byte of the disk. */
  readonly where: string
  readonly why: string
}

export interface Look {
  readonly findings: readonly Finding[]
  readonly filesLooked: number
}

/**
 * Files that hold a key by their purpose and that nobody trusts. The snakeoil certificate is made by the package ssl-cert
 * for services that are to start before anybody has given them a real one.
 */
const allowed: readonly { readonly path: string; readonly rule: string }[] = [
  { path: '/etc/ssl/private/ssl-cert-snakeoil.key', rule: 'private-key' },
]

type SearchFilter = (path: string) => boolean

export interface LookOptions {
  readonly signal: AbortSignal
  /**
   * Whether a file's content is to be searched for secrets by form; all files' by default. `path` is absolute on the disk.
   * Left out may be only what was searched in the bytes of the disk. While that is not known, the list is looked after.
   */
  readonly isSearched?: SearchFilter | Promise<SearchFilter>
}

/** Looks at every file below `root`: whether the seal list holds, and whether it holds a secret by its form. */
export async function lookAtFiles(root: string, options: LookOptions): Promise<Look> {
  const matchers = listMatchers(homesOf(root))
  const anyEntry = new RegExp(`^(?:${matchers.map(({ source }) => source).join('|')})$`)
  const findings: Finding[] = []
  const files: string[] = []
  const pause = slices(options.signal)
  for (const { path, entry } of walk(root)) {
    await pause()
    if (anyEntry.test(path)) {
      for (const { entry: rule, pattern } of matchers) {
        if (pattern.test(path)) findings.push(...checkEntry(rule, root, path))
      }
    }
    if (entry.isFile()) files.push(path)
  }
  const isSearched = (await options.isSearched) ?? (() => true)
  const packages = new PackageFiles(root)
  const scanner = new FileScanner()
  for (const path of files) {
    await pause()
    if (!isSearched(path) && !isSecretFile(path)) continue
    const stats = lstatSync(join(root, path))
    if (stats.size === 0) continue
    for (const match of await scanner.scan(root, path, stats)) {
      if (!isAllowed(packages, path, match))
        findings.push({ id: match.id, where: placeOf(path, match), why: match.why })
    }
  }
  return { findings, filesLooked: files.length }
}

interface ListMatcher {
  readonly entry: SealEntry
  readonly source: string
  readonly pattern: RegExp
}

function listMatchers(homes: readonly string[]): readonly ListMatcher[] {
  return sealList.map((entry) => {
    const source = entry.paths.map((glob) => globSource(glob, homes)).join('|')
    return { entry, source, pattern: new RegExp(`^(?:${source})$`) }
  })
}

/** Home folders of all users of the disk, as globs. */
function homesOf(root: string): readonly string[] {
  const homes = new Set(['/root', '/home/*'])
  const passwd = join(root, 'etc/passwd')
  if (lstatSync(passwd, { throwIfNoEntry: false })?.isFile() !== true) return [...homes]
  for (const line of readFileSync(passwd, 'utf8').split('\n')) {
    const home = line.split(':')[5]?.replace(/\/+$/, '') ?? ''
    if (/^\/[\w./-]+$/.test(home)) homes.add(home)
  }
  return [...homes]
}

interface Entry {
  /** Absolute on the disk. */
  readonly path: string
  readonly entry: Dirent
}

/** Everything below a folder, links not followed. Folders and files are read where they are, so no link leads out. */
function* walk(root: string): Generator<Entry, void, undefined> {
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) folders.push(path)
      yield { path, entry }
    }
  }
}

function checkEntry(entry: SealEntry, root: string, path: string): readonly Finding[] {
  const { id, must, why } = entry
  const stats = lstatSync(join(root, path))
  const finding = (reason: string) => [{ id, where: path, why: `${reason}: ${why}` }]
  switch (must.kind) {
    case 'absent':
      return finding('must not be there')
    case 'absent-but-links':
      return stats.isSymbolicLink() ? [] : finding('must not be there')
    case 'empty':
      return stats.isFile() && stats.size > 0 ? finding(`must be empty and has ${stats.size} bytes`) : []
    case 'without': {
      const match = stats.isFile() ? must.pattern.exec(readFileSync(join(root, path), 'utf8')) : null
      return match === null ? [] : finding(`must not hold '${match[0].trim()}'`)
    }
    case 'is':
      return stats.isFile() && readFileSync(join(root, path), 'utf8') !== must.text
        ? finding(`must be '${must.text.trim()}'`)
        : []
  }
}

function isAllowed(packages: PackageFiles, path: string, match: FileMatch): boolean {
  if (allowed.some((entry) => entry.path === path && entry.rule === match.id)) return true
  if (packages.isUnchanged(path)) return true
  return packages.packagedSourceOf(path)?.includes(match.text) === true
}

function placeOf(path: string, { line, index }: FileMatch): string {
  return line === undefined ? `${path}, byte ${index}` : `${path}:${line}`
}
