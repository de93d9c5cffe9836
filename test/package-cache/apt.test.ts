import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findTool } from '../../src/system/tools.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { bench, startOrigin } from './support.ts'

const execute = promisify(execFile)
const hasApt = (await findTool('apt-get')) !== undefined && (await findTool('dpkg-deb')) !== undefined

interface Archive {
  readonly url: string
  readonly asked: string[]
}

/** A one-package archive with indexes by digest, as distributions have. */
async function startArchive(folder: string): Promise<Archive> {
  const tree = join(folder, 'tree')
  await mkdir(join(tree, 'DEBIAN'), { recursive: true })
  const control =
    'Package: crumb\nVersion: 1\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: x\n'
  await writeFile(join(tree, 'DEBIAN', 'control'), control)
  await execute('dpkg-deb', ['--build', '--root-owner-group', tree, join(folder, 'crumb.deb')])
  const deb = await readFile(join(folder, 'crumb.deb'))
  const pool = 'pool/main/c/crumb/crumb_1_all.deb'
  const packages = `${control}Filename: ${pool}\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`
  const index = 'main/binary-all/Packages'
  const release = [
    ...['Origin: test', 'Suite: test', 'Codename: test', 'Architectures: all amd64 arm64', 'Components: main'],
    ...['Date: Fri, 20 Nov 2026 00:00:00 UTC', 'Acquire-By-Hash: yes', 'SHA256:'],
    ` ${sha256(packages)} ${packages.length} ${index}`,
  ].join('\n')
  const files: Record<string, string | Buffer> = {
    [`/${pool}`]: deb,
    '/dists/test/Release': `${release}\n`,
    [`/dists/test/main/binary-all/by-hash/SHA256/${sha256(packages)}`]: packages,
  }
  return startOrigin((request, response) => {
    const body = files[request.url ?? '']
    if (body === undefined) return response.writeHead(404).end()
    return response.writeHead(200, { 'content-length': Buffer.byteLength(body) }).end(body)
  })
}

/** apt with a root of its own. */
async function makeApt(folder: string, archive: string, port: number) {
  const root = join(folder, 'apt')
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'etc/apt.conf.d', 'etc/preferences.d', 'out']) {
    await mkdir(join(root, name), { recursive: true })
  }
  await writeFile(join(root, 'status'), '')
  await writeFile(join(root, 'sources.list'), `deb [trusted=yes arch=all] ${archive} test main\n`)
  const settings = [
    ...[`Dir::State=${root}/state`, `Dir::State::status=${root}/status`, `Dir::Cache=${root}/cache`],
    ...[`Dir::Etc=${root}/etc`, `Dir::Etc::sourcelist=${root}/sources.list`, 'Dir::Etc::sourceparts=/dev/null'],
    ...[`Acquire::http::Proxy=http://127.0.0.1:${port}`, 'Acquire::Languages=none', 'APT::Sandbox::User=root'],
    ...['Acquire::Retries=0', 'APT::Architecture=amd64', 'Dir::Etc::main=/dev/null'],
  ].flatMap((setting) => ['-o', setting])
  const run = (...words: readonly string[]) =>
    execute('apt-get', [...settings, ...words], { cwd: join(root, 'out'), env: { ...process.env, LC_ALL: 'C' } })
  return {
    /** Fetches the indexes and the package anew and resolves with the package's digest. */
    install: async () => {
      await rm(join(root, 'state', 'lists'), { recursive: true })
      await mkdir(join(root, 'state', 'lists', 'partial'), { recursive: true })
      for (const name of await readdir(join(root, 'out'))) await rm(join(root, 'out', name))
      await run('update')
      await run('download', 'crumb')
      const [name = ''] = await readdir(join(root, 'out'))
      return createHash('sha256')
        .update(await readFile(join(root, 'out', name)))
        .digest('hex')
    },
  }
}

describe.skipIf(!hasApt)('apt', () => {
  test('downloads once; a bad file in the cache makes it fail, and forgetting heals that', async () => {
    const dir = await tempDir('apt-test')
    onTestFinished(() => dir[Symbol.asyncDispose]())
    const archive = await startArchive(dir.path)
    const { start, folder } = await bench()
    const cache = await start()
    const apt = await makeApt(dir.path, archive.url, cache.port)
    const immutable = () => archive.asked.filter((line) => /\/pool\/|by-hash/.test(line))

    const digest = await apt.install()
    expect(digest).toBe(sha256(await readFile(join(dir.path, 'crumb.deb'))))
    expect(immutable()).toHaveLength(2)
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 2 })

    expect(await apt.install()).toBe(digest)
    expect(immutable()).toHaveLength(2)
    expect(cache.stats()).toMatchObject({ hits: 2, misses: 2 })
    // What changes in place was asked for each time.
    expect(archive.asked.filter((line) => line === 'GET /dists/test/Release')).toHaveLength(2)

    const path = join(folder, sha256(`${archive.url}/pool/main/c/crumb/crumb_1_all.deb`))
    const bytes = await readFile(path)
    bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 0xff
    await writeFile(path, bytes)
    await expect(apt.install()).rejects.toThrow(/Hash Sum mismatch/)
    await expect(apt.install()).rejects.toThrow(/Hash Sum mismatch/)
    await cache.forget()
    expect(await apt.install()).toBe(digest)
  })
})
