import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PageData } from '../../src/page/data.ts'
import { resolvePointer } from '../../src/page/figures.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { openBrowser, watch } from './browser.ts'
import { writeFleet, type FleetOptions } from './fleet.ts'

/** What is used of a browser's own names, in functions that run there. The DOM's types would be everybody's. */
interface BrowserElement {
  open: boolean
  readonly id: string
  readonly textContent: string | null
  readonly scrollWidth: number
  getAttribute(name: string): string | null
  setAttribute(name: string, value: string): void
}
declare const document: BrowserElement & {
  readonly activeElement: BrowserElement | null
  readonly body: BrowserElement
  readonly documentElement: BrowserElement
  querySelectorAll(selector: string): readonly BrowserElement[]
}
declare const window: { dispatchEvent(event: Event): void }
declare function getComputedStyle(element: BrowserElement): {
  readonly backgroundColor: string
  readonly fill: string
  readonly outlineStyle: string
  readonly outlineWidth: string
}

interface Written {
  readonly url: string
  /** What `--json` printed when the file was written. */
  readonly data: PageData
}

/** The page of a fleet, written by the program. */
async function writeReport(home: CliHome, options: FleetOptions = {}): Promise<Written> {
  await writeFleet(home, options)
  const result = await runCli(['report', 'recipes/web', '-o', 'out/page.html', '--json'], home)
  expect(result).toMatchObject({ exitCode: 0 })
  return {
    url: pathToFileURL(join(home.cwd, 'out', 'page.html')).href,
    data: JSON.parse(result.stdout) as PageData,
  }
}

let browser: Browser
let home: CliHome
let written: Written

beforeAll(async () => {
  browser = await openBrowser()
  home = await cliHome()
  written = await writeReport(home)
})

afterAll(async () => {
  await browser?.close()
  await home?.[Symbol.asyncDispose]()
})

interface ShownFigure {
  readonly pointer: string
  readonly value: string
  readonly text: string
}

function figuresOf(page: Page): Promise<ShownFigure[]> {
  return page.$$eval('data[data-pointer]', (elements) =>
    elements.map((element) => ({
      pointer: element.getAttribute('data-pointer') ?? '',
      value: element.getAttribute('value') ?? '',
      text: element.textContent ?? '',
    })),
  )
}

const factors: Readonly<Record<string, number>> = {
  '': 1,
  s: 1,
  '%': 0.01,
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** The number that a reader takes from `77.4 s`, `2 min 05 s`, `85 %`, `+134 MiB`, `1,204`, and half of its last digit. */
function readFigure(text: string): { value: number; tolerance: number } {
  const minutes = /^([+−]?)(\d+) min (\d\d) s$/.exec(text)
  if (minutes !== null) {
    const seconds = Number(minutes[2]) * 60 + Number(minutes[3])
    return { value: minutes[1] === '−' ? -seconds : seconds, tolerance: 0.5 }
  }
  const match = /^([+−]?)([\d,]+(?:\.(\d+))?)(?: (s|%|B|KiB|MiB|GiB))?$/.exec(text)
  if (match === null) throw new Error(`'${text}' is no figure`)
  const factor = factors[match[4] ?? ''] ?? Number.NaN
  const value = Number((match[2] ?? '').replaceAll(',', '')) * factor
  return { value: match[1] === '−' ? -value : value, tolerance: (factor * 0.5) / 10 ** (match[3]?.length ?? 0) }
}

describe('the page', () => {
  test('loads from disk without an error and asks for nothing', async () => {
    await using watched = await watch(browser, written.url)
    expect(watched.complaints).toEqual([])
    expect(watched.requests.filter((url) => !url.startsWith('data:'))).toEqual([written.url])
    expect(await watched.page.title()).toBe('web: launch to ready')
  })

  test('holds the very data that --json prints', async () => {
    await using watched = await watch(browser, written.url)
    const embedded = await watched.page.locator('#parbake-data').textContent()
    expect(JSON.parse(embedded ?? '')).toEqual(written.data)
  })

  test('shows figures that equal --json, to the digits that people read', async () => {
    await using watched = await watch(browser, written.url)
    const shown = await figuresOf(watched.page)
    expect(shown.length).toBeGreaterThan(400)
    const wrong = shown.filter(({ pointer, value, text }) => {
      const expected = resolvePointer(written.data, pointer)
      if (typeof expected !== 'number' || String(expected) !== value) return true
      const read = readFigure(text)
      return Math.abs(read.value - expected) > read.tolerance * 1.0001
    })
    expect(wrong).toEqual([])
  })

  test('shows every step, image, day, group and failed boot', async () => {
    await using watched = await watch(browser, written.url)
    const { page } = watched
    const { data } = written
    const rows = (caption: string) => page.locator('table', { hasText: caption }).locator('tbody tr').count()
    expect(await rows('Cost of each step')).toBe(6)
    expect(await rows('Decision for each step')).toBe(6)
    expect(await rows('Images, newest first')).toBe(2)
    expect(await rows('Launch-to-ready per day')).toBe(data.history.days.length)
    expect(await rows('Launch-to-ready by instance type')).toBe(3)
    expect(await page.locator('#failures tbody tr').count()).toBe(data.failedBoots.length)
    expect(data.failedBoots.length).toBe(data.reports.failed)
    expect(await page.locator('svg.wide').count()).toBe(await page.locator('svg.narrow').count())
    expect(data.history.events.map(({ kind }) => kind).toSorted()).toEqual(['image', 'image', 'recipe'])
  })
})

describe('everybody', () => {
  test.each(['light', 'dark'] as const)('can use it in the %s theme: axe finds nothing', async (colorScheme) => {
    await using watched = await watch(browser, written.url, { colorScheme })
    const { page } = watched
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true
    })
    await page.evaluate(axe.source)
    const violations = await page.evaluate(async () => {
      const { axe: engine } = window as unknown as { axe: { run(): Promise<axe.AxeResults> } }
      const result = await engine.run()
      return result.violations.map(({ id, nodes }) => [id, nodes.slice(0, 3).map((node) => node.html.slice(0, 160))])
    })
    expect(violations).toEqual([])
  })

  test('tells charts apart from their background in both themes', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      await using watched = await watch(browser, written.url, { colorScheme })
      const low = await watched.page.evaluate(() => {
        const luminance = (colour: string) => {
          const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map((part) => {
            const share = Number(part) / 255
            return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
          })
          return 0.2126 * r + 0.7152 * g + 0.0722 * b
        }
        const contrast = (a: number, b: number) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
        const ground = luminance(getComputedStyle(document.body).backgroundColor)
        const marks = [...document.querySelectorAll('svg.wide rect, svg.wide circle')]
        if (marks.length < 30) return [`only ${marks.length} marks`]
        return [...new Set(marks.map((mark) => getComputedStyle(mark).fill))].filter(
          (fill) => contrast(luminance(fill), ground) < 3,
        )
      })
      expect(low).toEqual([])
    }
  })

  // On a phone all tables scroll.
  test.each([1200, 375])('reaches everything by keyboard, with a visible focus, at %i pixels', async (width) => {
    const wide = width > 1000
    await using watched = await watch(browser, written.url, { viewport: { width, height: 800 } })
    const { page } = watched
    await page.evaluate(() => {
      for (const details of document.querySelectorAll('details')) details.open = true
    })
    // Tables that just came to light are looked at by an event.
    await page.waitForTimeout(200)
    const scrolling = await page.$$eval(
      '.scroll',
      (regions) =>
        regions.filter((region) => region.scrollWidth > region.clientWidth !== (region.tabIndex === 0)).length,
    )
    expect(scrolling).toBe(0)
    const count = await page.evaluate(() => {
      const all = document.querySelectorAll('a[href], button, summary, [tabindex="0"]')
      for (const [index, element] of all.entries()) element.setAttribute('data-nth', String(index))
      return all.length
    })
    expect(count).toBeGreaterThan(wide ? 14 : 25)
    const reached: string[] = []
    const unseen: string[] = []
    for (let press = 0; press < count; press += 1) {
      await page.keyboard.press('Tab')
      const [nth, style, width] = await page.evaluate(() => {
        const active = document.activeElement
        const computed = active === null ? undefined : getComputedStyle(active)
        return [active?.getAttribute('data-nth') ?? 'none', computed?.outlineStyle, computed?.outlineWidth] as const
      })
      reached.push(nth)
      if (style === 'none' || width === '0px') unseen.push(nth)
    }
    // In the order in which they stand.
    expect(reached).toEqual(Array.from({ length: count }, (_, index) => String(index)))
    expect(unseen).toEqual([])
  })

  test('skips to the content, folds tables and switches themes by keyboard', async () => {
    await using watched = await watch(browser, written.url, { colorScheme: 'light' })
    const { page } = watched
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Skip to the content')
    await page.keyboard.press('Enter')
    expect(await page.evaluate(() => document.activeElement?.id)).toBe('main')
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const light = await background()
    await page.locator('#theme').focus()
    expect(await page.locator('#theme').textContent()).toBe('Dark theme')
    await page.keyboard.press('Enter')
    expect(await page.locator('#theme').textContent()).toBe('Light theme')
    expect(await background()).not.toBe(light)
    const details = page.locator('details').first()
    await details.locator('summary').focus()
    await page.keyboard.press('Enter')
    expect(await details.evaluate((element) => (element as unknown as BrowserElement).open)).toBe(true)
    expect(watched.complaints).toEqual([])
  })

  test('reads it without scripts', async () => {
    await using watched = await watch(browser, written.url, { javaScriptEnabled: false })
    expect(await watched.page.locator('h2').count()).toBe(10)
    expect(await watched.page.locator('#theme').isVisible()).toBe(false)
    expect(await watched.page.locator('svg.wide').first().isVisible()).toBe(true)
  })
})

describe('the layout', () => {
  test.each([320, 375, 768, 1600])('fits a screen of %i pixels', async (width) => {
    await using watched = await watch(browser, written.url, { viewport: { width, height: 800 } })
    const { page } = watched
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width)
    const phone = width < 704
    expect(await page.locator('svg.narrow').first().isVisible()).toBe(phone)
    expect(await page.locator('svg.wide').first().isVisible()).toBe(!phone)
    // Text in charts is drawn at the size at which it is read.
    const shown = page.locator(phone ? 'svg.narrow' : 'svg.wide').first()
    const scale = await shown.evaluate((svg) => svg.getBoundingClientRect().width / Number(svg.getAttribute('width')))
    expect(scale).toBeGreaterThan(0.7)
  })

  test.each(['light', 'dark'] as const)('prints on white, all of it, from the %s theme', async (colorScheme) => {
    // The width of A4 between the page's margins.
    await using watched = await watch(browser, written.url, { colorScheme, viewport: { width: 688, height: 1000 } })
    const { page } = watched
    await page.emulateMedia({ media: 'print', colorScheme })
    expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe('rgb(255, 255, 255)')
    expect(await page.locator('nav').isVisible()).toBe(false)
    expect(await page.locator('#theme').isVisible()).toBe(false)
    expect(await page.locator('svg.wide').first().isVisible()).toBe(true)
    await page.evaluate(() => window.dispatchEvent(new Event('beforeprint')))
    expect(await page.locator('details:not([open])').count()).toBe(0)
    const clipped = await page.$$eval('.scroll', (regions) =>
      regions.filter((region) => region.scrollWidth > region.clientWidth + 1).map((region) => region.ariaLabel),
    )
    expect(clipped).toEqual([])
    await page.evaluate(() => window.dispatchEvent(new Event('afterprint')))
    expect(await page.locator('details[open]').count()).toBe(0)
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-')
  })
})

describe('words that hosts chose', () => {
  const foreign = `<img src=x onerror="document.title='run'"><script>document.title='run'</script></script>&amp;'"\u202E`

  test('are text, never markup', async () => {
    await using place = await cliHome()
    const { url, data } = await writeReport(place, { foreign, days: 20, seed: 5 })
    expect(JSON.stringify(data.failedBoots)).toContain('<img src=x')
    await using watched = await watch(browser, url)
    const { page } = watched
    expect(watched.complaints).toEqual([])
    expect(watched.requests.filter((each) => !each.startsWith('data:'))).toEqual([url])
    expect(await page.title()).toBe('web: launch to ready')
    expect(await page.locator('img').count()).toBe(0)
    expect(await page.locator('script').count()).toBe(2)
    const failures = (await page.locator('#failures').textContent()) ?? ''
    expect(failures).toContain(`<script>document.title='run'</script></script>&amp;'"`)
    expect(failures).not.toContain('\u202E')
    expect(await page.locator('#hosts').textContent()).toContain('<img src=x onerror=')
    expect(JSON.parse((await page.locator('#parbake-data').textContent()) ?? '')).toEqual(data)
    expect(await page.locator('#waterfall figcaption').first().textContent()).toContain('<img src=x')
  })
})

describe('what was not measured', () => {
  test('is said, not invented', async () => {
    await using place = await cliHome()
    const { url, data } = await writeReport(place, { withoutImages: true, days: 1 })
    expect(data.headline).not.toHaveProperty('after')
    expect(data.headline).not.toHaveProperty('savedSeconds')
    await using watched = await watch(browser, url)
    const { page } = watched
    expect(watched.complaints).toEqual([])
    expect(await page.locator('#overview .tiles .image dd').allTextContents()).toEqual(['not measured'])
    expect(await page.locator('#overview .lead').innerText()).toContain('No launch with an image has been measured yet')
    expect(await page.locator('#waterfall').textContent()).toContain('No such boot has been measured yet.')
    expect(await page.locator('#images').textContent()).toContain('There is no image of this recipe in the store.')
    expect(await page.locator('#history').textContent()).toContain(
      'No new recipe and no new image reached hosts after the first day.',
    )
    expect(await page.locator('body').innerText()).not.toMatch(/NaN|undefined|Infinity|\[object/)
  })
})
