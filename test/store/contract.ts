import { createHash, randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getBytes, listAll, type ObjectStore } from '../../src/store/object-store.ts'
import { probeConditionalPut } from '../../src/store/probe.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'

/**
 * What every ObjectStore must do. `open` is called once per test with a fresh, empty place (a prefix or a folder); several
 * stores on one place come from calling what it returns more than once.
 */
export function storeContract(name: string, open: (place: string) => Promise<ObjectStore>): void {
  describe(`store contract: ${name}`, () => {
    let dir: TempDir
    const opened: ObjectStore[] = []
    const fresh = async (place = `t-${randomBytes(6).toString('hex')}`) => {
      const store = await open(place)
      opened.push(store)
      return store
    }
    const text = async (store: ObjectStore, key: string) => (await getBytes(store, key))?.toString()
    const keysOf = async (store: ObjectStore, prefix: string) => {
      const keys: string[] = []
      for await (const info of listAll(store, prefix)) keys.push(info.key)
      return keys
    }
    beforeAll(async () => {
      dir = await tempDir('contract')
    })
    afterAll(async () => {
      for (const store of opened) store.close()
      await dir[Symbol.asyncDispose]()
    })

    it('gives back what was put, with its size and etag', async () => {
      const store = await fresh()
      const bytes = randomBytes(100_000)
      const put = await store.put('bundles/web/a.tar.gz', bytes, { contentType: 'application/gzip' })
      const got = await store.get('bundles/web/a.tar.gz')
      const head = await store.head('bundles/web/a.tar.gz')
      expect(put).toEqual({ outcome: 'stored', etag: got?.etag })
      expect(head).toEqual({
        key: 'bundles/web/a.tar.gz',
        sizeBytes: 100_000,
        etag: got?.etag,
        modifiedMs: expect.any(Number),
      })
      expect(Math.abs((head?.modifiedMs ?? 0) - Date.now())).toBeLessThan(120_000)
      expect(got?.etag).toMatch(/^[^"]+$/)
      expect((await getBytes(store, 'bundles/web/a.tar.gz'))?.equals(bytes)).toBe(true)
      got?.body.destroy()
    })

    it('stores strings as UTF-8 and empty objects', async () => {
      const store = await fresh()
      await store.put('a', 'grüße €')
      await store.put('empty', '')
      expect(await text(store, 'a')).toBe('grüße €')
      expect(await text(store, 'empty')).toBe('')
      expect((await store.head('empty'))?.sizeBytes).toBe(0)
    })

    it('says undefined for what is not there', async () => {
      const store = await fresh()
      await store.put('there/x', '1')
      expect(await store.get('nothing')).toBeUndefined()
      expect(await store.head('nothing/at/all')).toBeUndefined()
      expect(await store.get('there')).toBeUndefined()
      await expect(store.delete('nothing')).resolves.toBeUndefined()
    })

    it('overwrites, with another etag', async () => {
      const store = await fresh()
      const first = await store.put('k', 'one')
      const second = await store.put('k', 'two!')
      expect(await text(store, 'k')).toBe('two!')
      expect(second).not.toEqual(first)
      expect((await store.head('k'))?.etag).toBe(second.outcome === 'stored' ? second.etag : '')
    })

    it('deletes', async () => {
      const store = await fresh()
      await store.put('a/b/c', '1')
      await store.delete('a/b/c')
      expect(await store.head('a/b/c')).toBeUndefined()
      expect(await keysOf(store, '')).toEqual([])
    })

    it.each([
      [{ start: 0, end: 0 }, '0'],
      [{ start: 3, end: 5 }, '345'],
      [{ start: 7 }, '789'],
      [{ start: 8, end: 100 }, '89'],
    ])('reads the range %j', async (range, expected) => {
      const store = await fresh()
      await store.put('digits', '0123456789')
      const got = await store.get('digits', { range })
      const chunks: Buffer[] = []
      for await (const chunk of got?.body ?? []) chunks.push(chunk as Buffer)
      expect(Buffer.concat(chunks).toString()).toBe(expected)
      expect(got?.sizeBytes).toBe(10)
    })

    it('refuses a range after the end', async () => {
      const store = await fresh()
      await store.put('digits', '0123456789')
      await expect(store.get('digits', { range: { start: 10 } })).rejects.toMatchObject({ code: 'store-failed' })
    })

    it('puts if absent, once', async () => {
      const store = await fresh()
      expect(await store.put('lease', 'a', { condition: { absent: true } })).toMatchObject({ outcome: 'stored' })
      expect(await store.put('lease', 'b', { condition: { absent: true } })).toEqual({ outcome: 'conflict' })
      expect(await text(store, 'lease')).toBe('a')
      await store.delete('lease')
      expect(await store.put('lease', 'c', { condition: { absent: true } })).toMatchObject({ outcome: 'stored' })
    })

    it('puts if it is still this version', async () => {
      const store = await fresh()
      const first = await store.put('channel', 'serial 1')
      if (first.outcome !== 'stored') throw new Error('not stored')
      const second = await store.put('channel', 'serial 2', { condition: { etag: first.etag } })
      expect(second.outcome).toBe('stored')
      expect(await store.put('channel', 'serial 2b', { condition: { etag: first.etag } })).toEqual({
        outcome: 'conflict',
      })
      expect(await text(store, 'channel')).toBe('serial 2')
      const head = await store.head('channel')
      expect(await store.put('channel', 'serial 3', { condition: { etag: head?.etag ?? '' } })).toMatchObject({
        outcome: 'stored',
      })
    })

    it('takes the etag that get and list show as a condition', async () => {
      const store = await fresh()
      await store.put('d/k', '1')
      const got = await store.get('d/k')
      got?.body.destroy()
      expect(await store.put('d/k', '2', { condition: { etag: got?.etag ?? '' } })).toMatchObject({ outcome: 'stored' })
      const listed = (await store.list({ prefix: 'd/' })).objects[0]
      expect(await store.put('d/k', '3', { condition: { etag: listed?.etag ?? '' } })).toMatchObject({
        outcome: 'stored',
      })
      expect(await text(store, 'd/k')).toBe('3')
    })

    it('conflicts where the version to replace is gone', async () => {
      const store = await fresh()
      const first = await store.put('gone', '1')
      await store.delete('gone')
      const etag = first.outcome === 'stored' ? first.etag : ''
      expect(await store.put('gone', '2', { condition: { etag } })).toEqual({ outcome: 'conflict' })
      expect(await store.head('gone')).toBeUndefined()
    })

    it('lets exactly one of racing writers win, absent and etag', async () => {
      const place = `race-${randomBytes(6).toString('hex')}`
      const stores = await Promise.all(Array.from({ length: 4 }, () => fresh(place)))
      // S3's ETags are digests: a winner that wrote the bytes it replaced would leave the version as it was.
      const race = async (label: string, condition: { absent: true } | { etag: string }) => {
        const writers = Array.from({ length: 12 }, (_, index) => {
          const store = stores[index % stores.length] as ObjectStore
          return store.put('leases/x', `${label} ${index}`, { condition })
        })
        const results = await Promise.all(writers)
        const winners = results.flatMap((result, index) => (result.outcome === 'stored' ? [index] : []))
        expect(winners).toHaveLength(1)
        expect(await text(stores[0] as ObjectStore, 'leases/x')).toBe(`${label} ${winners[0]}`)
        return results.find((result) => result.outcome === 'stored')
      }
      const won = await race('first', { absent: true })
      await race('second', { etag: won?.outcome === 'stored' ? won.etag : '' })
    })

    it('passes its own probe of conditional puts and leaves nothing behind', async () => {
      const store = await fresh()
      expect(await probeConditionalPut(store)).toBe(true)
      expect(await keysOf(store, '')).toEqual([])
    })

    it('leaves keys out of a list, on every page', async () => {
      const store = await fresh()
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await store.put(`out/${name}`, name)
      const seen: string[] = []
      const asked: string[] = []
      const leaveOut = (key: string) => {
        asked.push(key)
        return !['out/b', 'out/e'].includes(key)
      }
      let after: string | undefined
      do {
        const page = await store.list({ prefix: 'out/', limit: 2, leaveOut, ...(after === undefined ? {} : { after }) })
        seen.push(...page.objects.map(({ key }) => key))
        after = page.next
      } while (after !== undefined)
      expect(seen).toEqual(['out/b', 'out/e'])
      expect(new Set(asked).size).toBe(6)
    })

    it('lists in byte order, by prefix, in pages, and no store beside it', async () => {
      const store = await fresh()
      const keys = ['a', 'b-c/x', 'b/c', 'b/c.d', 'b/d/e', 'b0', 'reports/web/dt=2026-11-20/h-1.json', 'z']
      for (const key of keys.toReversed()) await store.put(key, key)
      const other = await fresh()
      await other.put('b/other', 'x')
      expect(await keysOf(store, '')).toEqual(keys)
      expect(await keysOf(store, 'b/')).toEqual(['b/c', 'b/c.d', 'b/d/e'])
      expect(await keysOf(store, 'b/c')).toEqual(['b/c', 'b/c.d'])
      expect(await keysOf(store, 'none/')).toEqual([])
      const paged: string[] = []
      let after: string | undefined
      let pages = 0
      do {
        const page = await store.list({ prefix: '', limit: 3, ...(after === undefined ? {} : { after }) })
        paged.push(...page.objects.map((info) => info.key))
        after = page.next
        pages++
      } while (after !== undefined)
      expect(paged).toEqual(keys)
      expect(pages).toBe(3)
      const listed = (await store.list({ prefix: 'z' })).objects[0]
      expect(listed).toMatchObject({ key: 'z', sizeBytes: 1, etag: (await store.head('z'))?.etag })
    })

    it('hands out more than one page of a thousand', async () => {
      const store = await fresh()
      const keys = Array.from({ length: 1005 }, (_, index) => `reports/web/r${String(index).padStart(5, '0')}.json`)
      for (let from = 0; from < keys.length; from += 32) {
        await Promise.all(keys.slice(from, from + 32).map((key) => store.put(key, '{}')))
      }
      expect((await store.list({ prefix: 'reports/' })).objects).toHaveLength(1000)
      expect(await keysOf(store, 'reports/web/')).toEqual(keys)
    }, 120_000)

    it.each([1, 5_000_000])(
      'uploads a file of %i bytes in one',
      async (size) => {
        const store = await fresh()
        await checkUpload(store, size)
      },
      60_000,
    )

    it('uploads a large file in parts and reports progress', async () => {
      const store = await fresh()
      const sent = await checkUpload(store, 40 * 1024 * 1024 + 12_345)
      expect(sent.length).toBeGreaterThan(2)
      expect(sent.at(-1)).toBe(40 * 1024 * 1024 + 12_345)
      expect(sent).toEqual(sent.toSorted((a, b) => a - b))
    }, 120_000)

    async function checkUpload(store: ObjectStore, size: number): Promise<number[]> {
      const path = join(dir.path, `file-${size}-${randomBytes(4).toString('hex')}`)
      const bytes = randomBytes(size)
      await writeFile(path, bytes)
      const sent: number[] = []
      const { etag } = await store.putFile('images/web/i/disk.qcow2', path, { progress: (count) => sent.push(count) })
      expect(await store.head('images/web/i/disk.qcow2')).toMatchObject({ sizeBytes: size, etag })
      const hash = createHash('sha256')
      for await (const chunk of (await store.get('images/web/i/disk.qcow2'))?.body ?? []) hash.update(chunk as Buffer)
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
      return sent
    }

    it('leaves the old object and no parts when an upload is interrupted', async () => {
      const store = await fresh()
      await store.put('images/disk', 'old')
      const path = join(dir.path, 'interrupted')
      await writeFile(path, randomBytes(48 * 1024 * 1024))
      const controller = new AbortController()
      const upload = store.putFile('images/disk', path, {
        signal: controller.signal,
        progress: () => controller.abort(),
      })
      await expect(upload).rejects.toMatchObject({ name: 'InterruptedError' })
      expect(await text(store, 'images/disk')).toBe('old')
      expect(await keysOf(store, '')).toEqual(['images/disk'])
    }, 60_000)

    it('does nothing once the signal has fired', async () => {
      const store = await fresh()
      const signal = AbortSignal.abort()
      await expect(store.put('k', '1', { signal })).rejects.toMatchObject({ name: 'InterruptedError' })
      await expect(store.get('k', { signal })).rejects.toMatchObject({ name: 'InterruptedError' })
      expect(await store.head('k')).toBeUndefined()
    })

    it('fails for a file that is not there and changes nothing', async () => {
      const store = await fresh()
      await expect(store.putFile('k', join(dir.path, 'missing'))).rejects.toMatchObject({ code: 'store-failed' })
      expect(await store.head('k')).toBeUndefined()
    })

    it.each(['', '/a', 'a//b', '../x', 'a/../b', 'a/.', 'a b', 'ä', 'a\nb', 'a?b'])(
      'refuses the key %j',
      async (key) => {
        const store = await fresh()
        await expect(store.put(key, 'x')).rejects.toMatchObject({ code: 'store-failed' })
        await expect(store.get(key)).rejects.toMatchObject({ code: 'store-failed' })
      },
    )

    it('shows readers the old or the new content while it is replaced', async () => {
      const place = `torn-${randomBytes(6).toString('hex')}`
      const [writer, reader] = [await fresh(place), await fresh(place)]
      const version = (index: number) => Buffer.alloc(60_000 + index * 1000, String.fromCharCode(65 + index))
      await writer.put('k', version(0))
      let writing = true
      const write = (async () => {
        for (let index = 1; index < 20; index++) await writer.put('k', version(index))
        writing = false
      })()
      let reads = 0
      while (writing) {
        const bytes = await getBytes(reader, 'k')
        const index = (bytes?.[0] ?? 0) - 65
        expect(bytes?.equals(version(index))).toBe(true)
        reads++
      }
      await write
      expect(reads).toBeGreaterThan(0)
    }, 60_000)
  })
}
