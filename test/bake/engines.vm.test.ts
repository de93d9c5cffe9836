import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import { engineDifferences } from '../../src/bake/engine-differences.ts'
import { cliHome, runShell, type CliHome } from '../support/cli.ts'
import { cliJson, sharedCache } from '../vm/support.ts'

/** One recipe baked in both engines: the two file systems are the same, but for the list. */

const recipe = `\
name: both
steps:
  - {name: files, type: script, bake: always, run: 'mkdir -p /srv/a; echo a >/srv/a/f; ln /srv/a/f /srv/a/hard; ln -s f /srv/a/soft; chmod 4750 /srv/a/f'}
  - {name: account, type: script, bake: always, run: 'useradd --system --create-home app; install -d -o app -g app /srv/app'}
  - {name: unit, type: script, bake: always, run: 'systemctl disable cron; rm -rf /usr/share/man'}
`

let home: CliHome
let env: Record<string, string>

beforeAll(async () => {
  home = await cliHome()
  const shared = { ...home.env, PARBAKE_CACHE: sharedCache }
  const base = await cliJson<{ path: string }>(home, shared, 'base', 'build', 'debian-12')
  env = { ...home.env }
  const cache = env['PARBAKE_CACHE'] ?? ''
  await mkdir(cache, { recursive: true })
  await symlink(dirname(dirname(base.path)), join(cache, 'bases'))
  await cliJson(home, env, 'keys', 'init')
  await mkdir(join(home.cwd, 'both'))
  await writeFile(join(home.cwd, 'both', 'recipe.yaml'), recipe)
  // Tunings are the same script in both; under emulation they would take most of the time.
  await writeFile(join(home.cwd, 'parbake.yaml'), 'tune: {level: none}\n')
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

/** Type, mode, owner, link target and content by path, of the root file system of an image. */
async function treeOf(image: string): Promise<ReadonlyMap<string, string>> {
  const result = await runShell(
    `set -eu
    qemu-img convert -f qcow2 -O raw ${image} disk.raw
    start=$(sfdisk --json disk.raw | python3 -c 'import json, sys
print(max((p["size"], p["start"]) for p in json.load(sys.stdin)["partitiontable"]["partitions"])[1])')
    mkdir -p tree
    mount -o ro,noload,loop,offset=$((start * 512)) disk.raw tree
    here=$PWD
    trap 'cd "$here" && umount tree && rm -f disk.raw' EXIT
    cd tree
    find . -mindepth 1 -printf '/%P\\t%y %m %U:%G %l\\n'
    find . -type f -print0 | xargs -0 sha256sum --zero | tr '\\0' '\\n' | sed -E 's|^([0-9a-f]{64})  \\./(.*)|/\\2\\tcontent \\1|'`,
    { cwd: home.cwd, env },
  )
  if (result.exitCode !== 0) throw new Error(result.stderr)
  const tree = new Map<string, string>()
  for (const line of result.stdout.trimEnd().split('\n')) {
    const [path = '', facts = ''] = line.split('\t')
    tree.set(path, `${tree.get(path) ?? ''}${facts} `)
  }
  return tree
}

async function bakeIn(engine: 'container' | 'vm'): Promise<ReadonlyMap<string, string>> {
  const image = `${engine}.qcow2`
  const { manifest } = await cliJson<BakeResult>(
    home,
    env,
    ...['bake', 'both', '--engine', engine, '--output', image, '--no-verify'],
  )
  expect(manifest.engine).toBe(engine)
  return treeOf(image)
}

test.skipIf(process.getuid?.() !== 0)('both engines make the same file system', async () => {
  const container = await bakeIn('container')
  const vm = await bakeIn('vm')
  const paths = [...new Set([...container.keys(), ...vm.keys()])].toSorted()
  const differing = paths
    .filter((path) => container.get(path) !== vm.get(path))
    .filter((path) => !engineDifferences.some((allowed) => allowed.path.test(path)))
  expect(differing.map((path) => [path, container.get(path), vm.get(path)])).toEqual([])
  // The trees are those that were meant.
  expect(paths.length).toBeGreaterThan(10_000)
  for (const tree of [container, vm]) expect(tree.get('/srv/a/f')).toMatch(/^f 4750 0:0 /)
})
