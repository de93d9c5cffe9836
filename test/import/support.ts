import { Collector } from '../../src/import/collector.ts'
import type { Imported, SourceText } from '../../src/import/model.ts'
import { addCloudConfig, addMime, addUserScript } from '../../src/import/user-data.ts'

const readers = { 'cloud-config': addCloudConfig, mime: addMime, shell: addUserScript } as const

/** What a text of user-data comes to. */
export function importText(format: keyof typeof readers, text: string): Imported {
  const to = new Collector()
  const source: SourceText = { file: 'user-data', text, line: 1 }
  readers[format](source, to)
  return to.result()
}

/** `line what -> steps` of what was carried over. */
export function carriedLines({ carried }: Imported): readonly string[] {
  return carried.map(({ at, what, steps }) => `${at.line ?? '?'} ${what} -> ${steps.join(', ') || '-'}`)
}

/** `line what` of what was not. */
export function lostLines({ notCarried }: Imported): readonly string[] {
  return notCarried.map(({ at, what }) => `${at.line ?? '?'} ${what}`)
}

/** The script of a step, whether it stands in recipe.yaml or in a file. */
export function scriptOf(imported: Imported, name: string): string {
  const keys = imported.steps.find((step) => step.name === name)?.keys
  if (typeof keys?.['run'] === 'string') return keys['run']
  const file = imported.files.find(({ path }) => path === keys?.['file'])
  if (file === undefined) throw new Error(`there is no script step ${name}`)
  return file.content.toString('utf8')
}
