import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Recipe } from '../recipe/model.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { sha256, type Sha256 } from '../util/sha256.ts'
import { loadMeasure, loadSecrets } from './agent.ts'
import { renderIndex, stepId } from './index-file.ts'
import { tarball, type TarEntry } from './tar.ts'

export interface PackedBundle {
  /** The .tar.gz. */
  readonly bytes: Buffer
  /** Of `bytes`; the bundle's name in the store. */
  readonly sha256: Sha256
  /** The text of the bundle's `index`. */
  readonly index: string
}

/**
 * The bundle of a rendered recipe. The same recipe gives the same bytes wherever it lies, whoever packs it and when.
 * Throws UserError for a file whose path is too long for tar.
 */
export async function packBundle(recipe: Recipe): Promise<PackedBundle> {
  const index = renderIndex(recipe)
  const bytes = await compress(await tarball(withFolders(bundleFiles(recipe, index))))
  return { bytes, sha256: sha256(bytes), index }
}

/** What agents run in the place of a step that uses secrets: no agent needs to know of them. */
const withSecrets = '#!/bin/sh\nexec sh ../../../secrets /etc/parbake/agent.conf ../secrets ../script\n'

function bundleFiles(recipe: Recipe, index: string): TarEntry[] {
  const entries: TarEntry[] = [
    { path: 'index', content: Buffer.from(index), executable: false },
    // Agents that know nothing of it leave it alone.
    { path: 'measure', content: Buffer.from(loadMeasure()), executable: false },
  ]
  if (recipe.steps.some(({ rendered }) => rendered.secrets !== undefined)) {
    entries.push({ path: 'secrets', content: Buffer.from(loadSecrets()), executable: false })
  }
  for (const [position, { rendered, trace }] of recipe.steps.entries()) {
    const folder = `steps/${stepId(position)}`
    const env = Object.entries(rendered.env).toSorted(([a], [b]) => compareCodeUnits(a, b))
    if (rendered.secrets === undefined) {
      entries.push({ path: `${folder}/run`, content: Buffer.from(rendered.script), executable: true })
    } else {
      const names = rendered.secrets.map((name) => `${name}\n`).join('')
      entries.push({ path: `${folder}/run`, content: Buffer.from(withSecrets), executable: true })
      entries.push({ path: `${folder}/script`, content: Buffer.from(rendered.script), executable: true })
      entries.push({ path: `${folder}/secrets`, content: Buffer.from(names), executable: false })
    }
    if (env.length > 0) {
      const text = env.map(([name, value]) => `${name}=${value}\n`).join('')
      entries.push({ path: `${folder}/env`, content: Buffer.from(text), executable: false })
    }
    if (rendered.conditions !== undefined) {
      const text = rendered.conditions.map((line) => `${line}\n`).join('')
      entries.push({ path: `${folder}/if`, content: Buffer.from(text), executable: false })
    }
    // A mark of its own: older agents would misread another field in the index.
    if (trace === true && rendered.secrets === undefined)
      entries.push({ path: `${folder}/trace`, content: Buffer.alloc(0), executable: false })
    // The working directory is there even for a step without files.
    entries.push({ path: `${folder}/files`, executable: true })
    for (const file of rendered.files) {
      entries.push({ path: `${folder}/files/${file.path}`, content: file.content, executable: file.executable })
    }
  }
  return entries
}

/** Adds every folder that a path goes through, and sorts. */
function withFolders(entries: readonly TarEntry[]): TarEntry[] {
  const all = new Map(entries.map((entry) => [entry.path, entry]))
  for (const { path } of entries) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash)
      if (!all.has(folder)) all.set(folder, { path: folder, executable: true })
    }
  }
  return [...all.values()].toSorted((a, b) => compareCodeUnits(a.path, b.path))
}

async function compress(data: Buffer): Promise<Buffer> {
  const bytes = await promisify(gzip)(data, { level: 9 })
  // The header's "made on" byte tells zlib's platform; 255 is "unknown".
  bytes[9] = 0xff
  return bytes
}
