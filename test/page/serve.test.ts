import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { random as seeded } from '../../bench/random.ts'
import type { Browser } from 'playwright-core'
import type { PageData } from '../../src/page/data.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { cliHome, cliPath, collect, runCli, startCli, type CliHome } from '../support/cli.ts'
import { openBrowser, watch } from './browser.ts'
import { makeReport, put, writeFleet } from './fleet.ts'

interface Serving extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** Waits until it has said this on stderr. */
  said(text: string): Promise<void>
  /** Sends a signal and hands back how the program ended. */
  stop(signal: 'SIGINT' | 'SIGTERM'): ReturnType<typeof collect>
}

async function serve(home: CliHome): Promise<Serving> {
  const child = startCli(['report', 'recipes/web', '--serve', '--json'], home)
  const ended = collect(child)
  let text = ''
  let errors = ''
  child.stdout?.on('data', (chunk: string) => (text += chunk))
  child.stderr?.on('data', (chunk: string) => (errors += chunk))
  while (!text.includes('}\n') && child.exitCode === null) await sleep(50)
  if (!text.includes('}\n')) throw new Error((await ended).stderr)
  const { url, port, pid } = JSON.parse(text) as { url: string; port: number; pid: number }
  expect(pid).toBe(child.pid)
  return {
    url,
    port,
    said: async (wanted) => {
      while (!errors.includes(wanted)) {
        if (child.exitCode !== null) throw new Error(`it ended without saying '${wanted}':\n${errors}`)
        await sleep(50)
      }
    },
    stop: (signal) => {
      child.kill(signal)
      return ended
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A host reports right now. */
async function reportNow(home: CliHome, run: string): Promise<void> {
  const recipe = await loadRecipe(join(home.cwd, 'recipes', 'web'))
  const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] ?? '', 'store'))
  const startedAt = Math.floor(Date.now() / 1000)
  await put(store, makeReport({ recipe, image: undefined, startedAt, run, random: seeded(9) }))
  store.close()
}

function statusOf(port: number, headers: Readonly<Record<string, string>>, method = 'GET', path = '/') {
  return new Promise<number | undefined>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

let browser: Browser

beforeAll(async () => {
  browser = await openBrowser()
})

afterAll(() => browser?.close())

describe('parbake report --serve', () => {
  test('follows new reports in an open page', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 3 })
    await using serving = await serve(home)
    await using watched = await watch(browser, serving.url)
    const { page } = watched
    await page.getByText('Live: this page follows new reports.').waitFor()
    const fleet = page.locator('#about data[data-pointer="/reports/fleet"]')
    const before = Number(await fleet.getAttribute('value'))
    await reportNow(home, 'fresh')
    await page.locator(`#about data[data-pointer="/reports/fleet"][value="${before + 1}"]`).waitFor()
    const data = (await (await fetch(`${serving.url}data.json`)).json()) as PageData
    expect(data.reports.fleet).toBe(before + 1)
    // Loading the page again ends its event stream.
    expect(watched.complaints.filter((each) => each !== `failed: ${serving.url}events`)).toEqual([])
    expect(new Set(watched.requests.filter((url) => !url.startsWith('data:')))).toEqual(
      new Set([serving.url, `${serving.url}events`]),
    )
    // An open page does not keep it from ending.
    const { exitCode, stderr } = await serving.stop('SIGINT')
    expect(exitCode).toBe(130)
    expect(stderr).not.toContain('bug')
    await expect(fetch(serving.url)).rejects.toThrow('fetch failed')
    await page.getByText('The server has stopped').waitFor()
  })

  test('serves this machine only, GET only, and ends on SIGTERM', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 2, withoutImages: true })
    await using serving = await serve(home)
    const own = { host: `127.0.0.1:${serving.port}` }
    expect(await statusOf(serving.port, own)).toBe(200)
    expect(await statusOf(serving.port, { host: `localhost:${serving.port}` })).toBe(200)
    expect(await statusOf(serving.port, { host: 'evil.example' })).toBe(403)
    expect(await statusOf(serving.port, { host: `evil.example:${serving.port}` }, 'GET', '/data.json')).toBe(403)
    expect(await statusOf(serving.port, own, 'POST')).toBe(405)
    expect(await statusOf(serving.port, own, 'GET', '/etc/passwd')).toBe(404)
    expect(await statusOf(serving.port, own, 'HEAD')).toBe(200)
    const taken = await runCli(['report', 'recipes/web', '--serve', '--port', String(serving.port)], home)
    expect(taken).toMatchObject({ exitCode: 1, stdout: '' })
    expect(taken.stderr).toContain(`port ${serving.port} of 127.0.0.1 is in use`)
    expect((await serving.stop('SIGTERM')).exitCode).toBe(130)
  })

  test('keeps its page while the recipe is broken, and says so', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 2, withoutImages: true })
    await using serving = await serve(home)
    await writeFile(join(home.cwd, 'recipes', 'web', 'recipe.yaml'), 'steps: 5\n')
    const store = openDirectoryStore(join(home.env['PARBAKE_STATE'] ?? '', 'store'))
    await store.put('images/web/x/manifest.json', '{}')
    store.close()
    await serving.said('the page stays as it was')
    expect((await fetch(serving.url)).status).toBe(200)
    expect((await serving.stop('SIGINT')).exitCode).toBe(130)
  })

  test('prints its address for people, and stops at once when told', async () => {
    await using home = await cliHome()
    await writeFleet(home, { days: 1, withoutImages: true })
    const child = spawn(process.execPath, [cliPath, 'report', 'recipes/web', '--serve'], {
      cwd: home.cwd,
      env: home.env,
    })
    const ended = collect(child)
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGINT')
    const { exitCode, stdout } = await ended
    expect(stdout).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+\/ {2}\(this machine only; follows new reports; Ctrl-C ends it\)\n$/,
    )
    expect(exitCode).toBe(130)
  })
})
