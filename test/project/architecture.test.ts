import { describe, expect, test } from 'vitest'
import { findImports, readSourceFiles } from '../support/source-files.ts'

/**
 * What may import what: a file may import from its own layer and from those below. Folders by name with a slash, single
 * files by path; the longest match counts. A new folder belongs into this table.
 */
const layers: readonly (readonly string[])[] = [
  // Words and values that everything shares.
  ['errors.ts', 'util/', 'config.ts', 'context.ts', 'report/events.ts', 'recipe/model.ts', 'recipe/cron.ts'],
  // What touches the world, each behind an interface.
  ['store/', 'vm/', 'system/', 'report/', 'load-config.ts'],
  // What decides, and the data it decides on.
  [
    'recipe/',
    'steps/',
    'cloud-config/',
    'bundle/',
    'plan/',
    'rollout/membership.ts',
    'tune/',
    'profile/model.ts',
    'profile/report.ts',
    'profile/quantile.ts',
    'image/manifest.ts',
  ],
  // What acts.
  [
    'keys/',
    'project/',
    'rollout/',
    'hosts/',
    'profile/',
    'user-data/',
    'image/',
    'import/',
    'page/',
    'base/',
    'disk/',
    'bake/',
    'launch/',
    'seal/',
    'verify/',
    'demo/',
    'doctor/',
    'lint/',
    'bundle/publish.ts',
    'bundle/change-channel.ts',
    'bundle/offline.ts',
    'step-cache/',
    'package-cache/',
    'cache/',
  ],
  ['commands/'],
  ['cli.ts', 'index.ts', 'quick.ts', 'remembered.ts'],
]

/** Types only, so nothing is loaded: every layer may name them. */
const everywhereAsTypes = ['config.ts', 'context.ts', 'report/events.ts', 'store/object-store.ts', 'plan/model.ts']

/** The one file that may import each library. */
const gates: Readonly<Record<string, string>> = {
  '@aws-sdk/': 'store/s3.ts',
  '@observablehq/plot': 'page/svg.ts',
  'cli-table3': 'report/table.ts',
  execa: 'system/run.ts',
  handlebars: 'steps/handlebars.ts',
  'js-yaml': 'util/yaml.ts',
  linkedom: 'page/svg.ts',
  minio: 'store/minio.ts',
  ora: 'report/tty.ts',
  'tar-stream': 'bundle/tar.ts',
}

const files = readSourceFiles()

function layerOf(path: string): number {
  let best = { layer: -1, length: 0 }
  for (const [layer, members] of layers.entries()) {
    for (const member of members) {
      const matches = member.endsWith('/') ? path.startsWith(member) : path === member
      if (matches && member.length > best.length) best = { layer, length: member.length }
    }
  }
  return best.layer
}

describe('imports', () => {
  test('are found in all their forms', () => {
    const text = [
      `import a from 'a'`,
      `import type { B } from './b.ts'`,
      `import {\n  c,\n  d,\n} from '../util/c.ts'`,
      `import 'e'`,
      `export * from './f.ts'`,
      `const g = await import('./g.ts')`,
      `// import h from 'h'`,
    ].join('\n')
    expect(findImports('vm/x.ts', text).map(({ target, typeOnly }) => [target, typeOnly])).toEqual([
      ['a', false],
      ['vm/b.ts', true],
      ['util/c.ts', false],
      ['e', false],
      ['vm/f.ts', false],
      ['vm/g.ts', false],
    ])
  })

  test('every source file has a layer', () => {
    expect(files.length).toBeGreaterThan(10)
    expect(files.map(({ path }) => path).filter((path) => layerOf(path) === -1)).toEqual([])
  })

  test('point down only', () => {
    const upward = files.flatMap(({ path, imports }) =>
      imports
        .filter(({ local, typeOnly, target }) => local && !(typeOnly && everywhereAsTypes.includes(target)))
        .filter(({ target }) => layerOf(target) > layerOf(path))
        .map(({ target }) => `${path} imports ${target}`),
    )
    expect(upward).toEqual([])
  })

  test.each(Object.entries(gates))('%s has one gate, %s', (library, gate) => {
    const importers = files
      .filter(({ imports }) =>
        imports.some(
          ({ target }) => target === library || target.startsWith(library.endsWith('/') ? library : `${library}/`),
        ),
      )
      .map(({ path }) => path)
    expect(importers).toEqual([gate])
  })
})

describe('source files', () => {
  test('print through the reporter or the context, never through console', () => {
    expect(
      files
        .filter(({ text }) => /\bconsole\.(debug|dir|error|info|log|table|trace|warn)\(/.test(text))
        .map(({ path }) => path),
    ).toEqual([])
  })

  test('have at most 400 lines', () => {
    const long = files
      .filter(({ path }) => !path.includes('/generated-'))
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ lines }) => lines > 400)
    expect(long).toEqual([])
  })
})
