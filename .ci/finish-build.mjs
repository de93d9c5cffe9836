// Runs after tsc: what dist/ needs beside the compiled modules.
import { chmod, writeFile } from 'node:fs/promises'
import { bundleQuick } from './bundle-quick.mjs'

const dist = new URL('../dist/', import.meta.url)
const { recipeJsonSchema } = await import(new URL('recipe/schema.js', dist).href)

await writeFile(new URL('recipe.schema.json', dist), `${JSON.stringify(recipeJsonSchema(), null, 2)}\n`)
await bundleQuick()
await chmod(new URL('cli.js', dist), 0o755)
