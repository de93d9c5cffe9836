// Bundles each of the commands that people and CI jobs run most often into one file, which is compiled once for all later
// processes.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../', import.meta.url))
const source = resolve(root, 'src')

/** Verbs that have a bundle; src/quick.ts has the same list. */
const verbs = ['check', 'user-data']

/** Modules that must exist once in a process, or that these verbs hardly ever load; and other verbs. */
const outside =
  /^(?:errors|system\/run|report\/tty|store\/(?:s3|minio)|commands\/(?<verb>(?!app$|main$|recipe-options$)[a-z-]+))$/

/** Compiled modules are a folder above the bundle. */
const modulesElsewhere = (ownVerb) => ({
  name: 'modules-elsewhere',
  setup(bundle) {
    bundle.onResolve({ filter: /^\./ }, ({ importer, path, resolveDir }) => {
      if (!importer.startsWith(source)) return undefined
      const module = relative(source, resolve(resolveDir, path)).replace(/\.ts$/, '')
      const match = outside.exec(module)
      if (match === null || match.groups.verb === ownVerb) return undefined
      return { path: `../${module}.js`, external: true }
    })
    // Messages are in English; the library carries fifty other languages.
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js'",
      loader: 'js',
    }))
    bundle.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const module = relative(source, path).replace(/\.ts$/, '.js')
      const text = await readFile(path, 'utf8')
      return { contents: text.replaceAll('import.meta.url', `(distUrl + ${JSON.stringify(module)})`), loader: 'ts' }
    })
  },
})

/** Writes dist/quick/<verb>.cjs. */
export async function bundleQuick() {
  await Promise.all(verbs.map(bundleVerb))
}

async function bundleVerb(verb) {
  const { outputFiles } = await build({
    write: false,
    absWorkingDir: root,
    entryPoints: ['src/commands/main.ts'],
    outfile: `dist/quick/${verb}.cjs`,
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    charset: 'ascii',
    legalComments: 'none',
    external: ['handlebars'],
    banner: { js: "const distUrl = require('node:url').pathToFileURL(`${__dirname}/../`).href;" },
    plugins: [modulesElsewhere(verb)],
    logLevel: 'warning',
  })
  const [bundle] = outputFiles
  await mkdir(dirname(bundle.path), { recursive: true })
  // Scripts that are compiled by themselves cannot import; who runs this one does it for them.
  await writeFile(bundle.path, bundle.text.replaceAll('import("', 'importOutside("'))
}
