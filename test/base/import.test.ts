import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildBase, findBase, importBase, listBases } from '../../src/base/index.ts'
import type { Context } from '../../src/context.ts'
import { InterruptedError } from '../../src/errors.ts'
import { imageInfo } from '../../src/image/qemu-img.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { needTool } from '../../src/system/tools.ts'
import { sha256File } from '../../src/util/sha256.ts'

let folder: TempDir
let context: Context
let controller: AbortController
let image: string

beforeEach(async () => {
  folder = await tempDir('test-import')
  controller = new AbortController()
  const config = { cacheDir: join(folder.path, 'cache') } as Context['config']
  context = { config, reporter: silentReporter, signal: controller.signal }
  image = join(folder.path, 'image.qcow2')
  await makeRootDisk(join(folder.path, 'root.raw'))
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(folder.path, 'root.raw'), image])
})
afterEach(() => folder[Symbol.asyncDispose]())

/** 16 MiB with a partition table and one empty ext4 file system, which is all that an import looks at. */
async function makeRootDisk(path: string): Promise<void> {
  const part = `${path}.part`
  await writeFile(path, '')
  await writeFile(part, '')
  await truncate(path, 16 * 1024 ** 2)
  await truncate(part, 8 * 1024 ** 2)
  await run(await needTool('sfdisk'), ['--quiet', '--no-reread', '--no-tell-kernel', path], {
    input: 'label: dos\nstart=2048, size=16384, type=83\n',
  })
  await run(await needTool('mke2fs'), ['-q', '-F', '-t', 'ext4', '-L', 'root', part])
  await run('dd', [`if=${part}`, `of=${path}`, 'bs=1M', 'seek=1', 'conv=notrunc,sparse', 'status=none'])
}

/** What a failed import may leave: the lock, and nothing else. */
async function expectNothingKept(): Promise<void> {
  expect(
    (await readdir(join(folder.path, 'cache', 'bases')).catch(() => [])).filter((name) => name !== '.lock'),
  ).toEqual([])
}

test('a qcow2 image is kept byte for byte and found by name and digest', async () => {
  const digest = await sha256File(image)
  const base = await importBase({ source: image, sha256: digest.toUpperCase(), name: 'mine' }, context)
  expect(base).toMatchObject({ name: 'mine', digest, sourceDigest: digest, virtualSizeBytes: 16 * 1024 ** 2 })
  expect(await sha256File(base.path)).toBe(digest)
  expect(await findBase('mine', context)).toEqual(base)
  expect(await findBase(digest, context)).toEqual(base)
  expect(await findBase(digest.slice(0, 10), context)).toEqual(base)
  const again = await importBase({ source: image, name: 'mine' }, context)
  expect(again.builtAt > base.builtAt).toBe(true)
  expect(await listBases(context)).toEqual([again])
})

test('a raw image becomes qcow2', async () => {
  const raw = join(folder.path, 'root.raw')
  const base = await importBase({ source: raw, name: 'raw' }, context)
  expect(base.sourceDigest).toBe(await sha256File(raw))
  expect(base.digest).not.toBe(base.sourceDigest)
  expect(await imageInfo(base.path)).toMatchObject({
    format: 'qcow2',
    virtualSizeBytes: 16 * 1024 ** 2,
    compression: 'zstd',
  })
})

test('what is on the disk is found and kept', async () => {
  const base = await importBase({ source: image, name: 'mine' }, context)
  expect(base.layout?.partitions).toMatchObject([
    { number: 1, startBytes: 1024 ** 2, sizeBytes: 8 * 1024 ** 2, role: 'linux', fs: { type: 'ext4', label: 'root' } },
  ])
  expect(base).toMatchObject({ rootPartition: 1, boot: [] })
  expect((await findBase('mine', context)).layout).toEqual(base.layout)
})

test('an image without a Linux root is refused', async () => {
  const raw = join(folder.path, 'root.raw')
  await run('dd', ['if=/dev/zero', `of=${raw}`, 'bs=1M', 'seek=1', 'count=8', 'conv=notrunc', 'status=none'])
  await expect(importBase({ source: raw, name: 'mine' }, context)).rejects.toMatchObject({
    code: 'no-linux-root',
    message: expect.stringContaining('partitions: 1 linux') as string,
  })
  await expectNothingKept()
})

test('an image that cannot be read as a disk is refused', async () => {
  const empty = join(folder.path, 'empty.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', empty, '16M'])
  await expect(importBase({ source: empty, name: 'mine' }, context)).rejects.toMatchObject({ code: 'disk-unreadable' })
  await expectNothingKept()
})

test('a wrong digest says both and keeps nothing', async () => {
  const found = await sha256File(image)
  const wrong = '0'.repeat(64)
  const error = importBase({ source: image, sha256: wrong, name: 'mine' }, context)
  await expect(error).rejects.toMatchObject({ code: 'digest-mismatch' })
  await expect(error).rejects.toThrow(new RegExp(`expected ${wrong}\\n  found    ${found}`))
  await expectNothingKept()
})

test.each([
  [{ name: 'mine', source: 'missing.qcow2' }, /there is no file .*missing\.qcow2/],
  [{ name: 'Mine', source: 'image.qcow2' }, /cannot be the name/],
  [{ name: 'mine', source: 'image.qcow2', sha256: 'abc' }, /no sha256 digest/],
  [{ name: 'mine', source: 'http://127.0.0.1:1/x.qcow2' }, /needs its digest/],
  [{ name: 'mine', source: 'ftp://host/x.qcow2', sha256: '0'.repeat(64) }, /neither a path nor/],
])('%j is refused', async (options, message) => {
  const source = options.source.includes('://') ? options.source : join(folder.path, options.source)
  await expect(importBase({ ...options, source }, context)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(message) as string,
  })
  await expectNothingKept()
})

test.each([
  ['gzip', '1f8b0800', /compressed with gzip/],
  ['text', '23212f62696e2f7368', /no partition table/],
  ['vmdk', '4b444d56', /VMDK/],
  ['an empty file', '', /no partition table/],
])('%s is no disk image', async (_name, hex, message) => {
  const source = join(folder.path, 'other')
  await writeFile(source, Buffer.from(hex, 'hex'))
  await expect(importBase({ source, name: 'mine' }, context)).rejects.toThrow(message)
  await expectNothingKept()
})

test('an image that would make QEMU open other files is refused', async () => {
  const overlay = join(folder.path, 'overlay.qcow2')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', image, '-F', 'qcow2', overlay])
  await expect(importBase({ source: overlay, name: 'mine' }, context)).rejects.toThrow(/overlay\.qcow2 is an overlay/)
  const split = join(folder.path, 'split.qcow2')
  const data = join(folder.path, 'data.raw')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, split, '16M'])
  await expect(importBase({ source: split, name: 'mine' }, context)).rejects.toThrow(/keeps its data in another file/)
  await expectNothingKept()
})

test('a damaged qcow2 image is refused', async () => {
  const bytes = await readFile(image)
  bytes.fill(0xff, 40, 48)
  await writeFile(image, bytes)
  await expect(importBase({ source: image, name: 'mine' }, context)).rejects.toMatchObject({ name: 'UserError' })
  await expectNothingKept()
})

async function serve(handler: Parameters<typeof createServer>[1]): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('an image is downloaded; its address is kept without query', async () => {
  const content = await readFile(image)
  await using server = await serve((_request, response) => response.end(content))
  const source = `${server.url}/cloud.qcow2?token=secret`
  const base = await importBase({ source, sha256: await sha256File(image), name: 'net' }, context)
  expect(base.source).toBe(`${server.url}/cloud.qcow2`)
  expect(await readFile(base.path)).toEqual(content)
})

test.each<[string, Parameters<typeof createServer>[1], RegExp]>([
  ['404', (_request, response) => response.writeHead(404).end(), /answers 404/],
  [
    'a connection cut short',
    (_request, response) => {
      response.writeHead(200, { 'content-length': '1000000' })
      response.write('x', () => response.destroy())
    },
    /cannot download/,
  ],
])('%s keeps nothing', async (_name, handler, message) => {
  await using server = await serve(handler)
  const source = `${server.url}/x.qcow2`
  await expect(importBase({ source, sha256: '0'.repeat(64), name: 'net' }, context)).rejects.toThrow(message)
  await expectNothingKept()
})

test('an interrupted download keeps nothing', async () => {
  await using server = await serve((_request, response) => {
    response.writeHead(200)
    response.write('x', () => controller.abort())
  })
  const source = `${server.url}/x.qcow2`
  await expect(importBase({ source, sha256: '0'.repeat(64), name: 'net' }, context)).rejects.toThrow(InterruptedError)
  await expectNothingKept()
})

test('an import sweeps what a killed build left', async () => {
  const left = join(folder.path, 'cache', 'bases', 'parbake-base-x', 'sub')
  await mkdir(left, { recursive: true })
  await symlink('/', join(left, 'link'))
  await importBase({ source: image, name: 'mine' }, context)
  expect(await readdir(join(folder.path, 'cache', 'bases'))).not.toContain('parbake-base-x')
})

test('a base whose disk was cut or lost is no base, and says how to get one', async () => {
  const base = await importBase({ source: image, name: 'mine' }, context)
  await truncate(base.path, 100)
  expect(await listBases(context)).toEqual([])
  await expect(findBase('mine', context)).rejects.toMatchObject({ code: 'base-missing' })
  await expect(findBase('debian-12', context)).rejects.toMatchObject({ hint: "run 'parbake base build debian-12'" })
})

test('an unknown base to build lists the known ones', async () => {
  await expect(buildBase('debian-1', context)).rejects.toMatchObject({
    exitCode: 2,
    hint: expect.stringContaining('known: debian-12') as string,
  })
})
