import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadServeCredentials } from '../../src/store/server/credentials.ts'
import { tempDir } from '../../src/system/temp.ts'
import { signedFetch } from '../support/s3.ts'

const serveScript = join(import.meta.dirname, '../support/serve.ts')

describe('kill -9', () => {
  it('loses no acknowledged put and tears none', async () => {
    await using folder = await tempDir('kill')
    const keys = { accessKey: 'KILLKEY', secretKey: 'kill-secret' }
    const content = (version: number) =>
      Buffer.alloc(200_000 + version, createHmac('md5', 'v').update(String(version)).digest())
    // Each writer has a key of its own, so that its versions arrive in order.
    const acknowledged = [0, 0, 0]
    for (let round = 0; round < 4; round++) {
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', serveScript, folder.path, keys.accessKey, keys.secretKey],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const exited = new Promise<void>((done) => child.once('exit', () => done()))
      const endpoint = await new Promise<string>((resolve, reject) => {
        child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()))
        child.once('exit', () => reject(new Error('the server did not start')))
      })
      const server = { endpoint, ...keys }
      let puts = 0
      const check = async (writer: number) => {
        const answer = await signedFetch(server, { method: 'GET', path: `/parbake/k${writer}` })
        const found = Buffer.from(await answer.arrayBuffer())
        const version = found.length - 200_000
        expect(found.equals(content(version))).toBe(true)
        expect(version).toBeGreaterThanOrEqual(acknowledged[writer] ?? 0)
        // The put under way when the server died may have taken effect.
        acknowledged[writer] = version
      }
      // Several at a time, so that some put is always under way when the server dies.
      const write = async (writer: number) => {
        if (round > 0) await check(writer)
        while (!child.killed) {
          const version = (acknowledged[writer] ?? 0) + 1
          const request = { method: 'PUT', path: `/parbake/k${writer}`, body: content(version) }
          const answer = await signedFetch(server, request).catch(() => undefined)
          if (answer?.status === 200) acknowledged[writer] = version
          if (++puts === 60) child.kill('SIGKILL')
        }
      }
      await Promise.all([write(0), write(1), write(2)])
      await exited
    }
    expect(Math.min(...acknowledged)).toBeGreaterThan(20)
  }, 120_000)
})

describe('loadServeCredentials', () => {
  it('makes keys once, private, even for two at a time', async () => {
    await using folder = await tempDir('keys')
    const state = join(folder.path, 'state')
    const [first, second] = await Promise.all([loadServeCredentials(state), loadServeCredentials(state)])
    expect(first).toEqual(second)
    expect(await loadServeCredentials(state)).toEqual(first)
    const file = join(state, 'embedded-store.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(state)).toEqual(['embedded-store.json'])
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(first)
    await writeFile(file, '{}')
    await expect(loadServeCredentials(state)).rejects.toMatchObject({ name: 'UserError' })
  })
})
