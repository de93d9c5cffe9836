import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Context } from '../../src/context.ts'
import { openGuestStore } from '../../src/launch/guest-store.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Event } from '../../src/report/events.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'

let folder: TempDir
let events: Event[]

beforeEach(async () => {
  folder = await tempDir('guest-store')
  events = []
  for (const name of ['PARBAKE_HOST_ACCESS_KEY', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'MINIO_ACCESS_KEY']) {
    vi.stubEnv(name, '')
  }
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await folder[Symbol.asyncDispose]()
})

async function contextFor(yaml: string): Promise<Context> {
  await writeFile(join(folder.path, 'parbake.yaml'), yaml)
  const config = await loadConfig(folder.path, undefined, { HOME: folder.path })
  return {
    config,
    reporter: { emit: (event) => events.push(event), close: () => {} },
    signal: new AbortController().signal,
  }
}

describe('the store as guests reach it', () => {
  test('a folder is served for as long as it is needed', async () => {
    const context = await contextFor(`store: file://${folder.path}/store\n`)
    const guestStore = await openGuestStore(context)
    const { endpoint, accessKey, secretKey } = guestStore.overrides
    expect(endpoint).toMatch(/^http:\/\/10\.0\.2\.2:\d+\/parbake$/)
    expect(accessKey).not.toBe('')
    expect(secretKey).not.toBe('')
    const url = (endpoint ?? '').replace('10.0.2.2', '127.0.0.1')
    expect((await fetch(`${url}/anything`)).status).toBe(403)
    await guestStore[Symbol.asyncDispose]()
    await expect(fetch(url)).rejects.toThrow()
  })

  test.each([
    ['s3://fleet/a?endpoint=http://127.0.0.1:9000&region=us-east-1', 'http://10.0.2.2:9000/fleet/a'],
    ['s3://fleet?endpoint=http://localhost:9000', 'http://10.0.2.2:9000/fleet'],
    ['s3://fleet?endpoint=https://s3.example.com', 'https://s3.example.com/fleet'],
    ['minio://127.0.0.1:9000/fleet/a?tls=false', 'http://10.0.2.2:9000/fleet/a'],
  ])('%s is %s', async (store, endpoint) => {
    const guestStore = await openGuestStore(await contextFor(`store: ${store}\n`))
    expect(guestStore.overrides).toEqual({ endpoint })
  })

  test("the operator's keys serve where there are none for hosts, with a warning", async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'operator')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret')
    const context = await contextFor('store: s3://fleet?endpoint=http://127.0.0.1:9000\n')
    expect((await openGuestStore(context)).overrides).toMatchObject({ accessKey: 'operator', secretKey: 'secret' })
    expect(events).toEqual([expect.objectContaining({ type: 'warning' })])
    expect(JSON.stringify(events)).not.toContain('secret"')
    vi.stubEnv('PARBAKE_HOST_ACCESS_KEY', 'host')
    expect((await openGuestStore(context)).overrides).toEqual({ endpoint: 'http://10.0.2.2:9000/fleet' })
  })

  test('a configured endpoint is left alone', async () => {
    const yaml = 'store: s3://fleet?endpoint=http://127.0.0.1:9000\nhosts:\n  endpoint: http://192.0.2.7:9000/fleet\n'
    expect((await openGuestStore(await contextFor(yaml))).overrides).toEqual({})
  })
})
