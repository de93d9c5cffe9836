import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { findTool } from '../../src/system/tools.ts'

/** Chromium without a window. Fails where there is none: a page that nobody has looked at is not tested. */
export async function openBrowser(): Promise<Browser> {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    const executablePath = await findTool(name)
    if (executablePath !== undefined) {
      // Its sandbox refuses to run as root.
      return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
    }
  }
  throw new Error('these tests need Chromium: apt-get install chromium (.ci/setup test does it)')
}

/** A page and what it did beside showing itself. */
export interface WatchedPage extends AsyncDisposable {
  readonly page: Page
  /** Console messages, uncaught errors and failed requests. */
  readonly complaints: readonly string[]
  /** Addresses that were asked for, the page's own included. */
  readonly requests: readonly string[]
}

/** Opens an address in a fresh profile and waits until it is loaded. */
export async function watch(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })
  const page = await context.newPage()
  const complaints: string[] = []
  const requests: string[] = []
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))
  page.on('request', (request) => requests.push(request.url()))
  await page.goto(url, { waitUntil: 'load' })
  return { page, complaints, requests, [Symbol.asyncDispose]: () => context.close() }
}
