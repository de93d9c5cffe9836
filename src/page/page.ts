import { createHash } from 'node:crypto'
import { packageVersion } from '../util/package-version.ts'
import type { PageData } from './data.ts'
import { Figures } from './figures.ts'
import { html, jsonForScript, raw, type Html } from './html.ts'
import { moment } from './parts.ts'
import { pageScript } from './script.ts'
import { about } from './sections/about.ts'
import { decisions } from './sections/decisions.ts'
import { failures } from './sections/failures.ts'
import { groups } from './sections/groups.ts'
import { history } from './sections/history.ts'
import { images } from './sections/images.ts'
import { overview } from './sections/overview.ts'
import { steps } from './sections/steps.ts'
import { time } from './sections/time.ts'
import { waterfalls } from './sections/waterfalls.ts'
import { styleSheet } from './theme.ts'

/** What a served page has beside its content. */
export interface LivePage {
  /** Path of the server's event stream. */
  readonly events: string
  /** What the stream says while the page is up to date. */
  readonly version: string
}

const sections: readonly (readonly [id: string, title: string, render: (figures: Figures) => Html])[] = [
  ['overview', 'Overview', overview],
  ['waterfall', 'Waterfall', waterfalls],
  ['time', 'Where the time goes', time],
  ['plan', 'Plan', decisions],
  ['steps', 'Steps', steps],
  ['images', 'Images', images],
  ['history', 'History', history],
  ['hosts', 'Hosts', groups],
  ['failures', 'Failures', failures],
  ['about', 'About', about],
]

/** The whole page as one HTML document that loads nothing. Pure: equal data gives equal text. */
export function renderPage(data: PageData, live?: LivePage): string {
  const figures = new Figures(data)
  const title = `${data.recipe}: launch to ready`
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="Content-Security-Policy" content="${policy(live !== undefined)}" />
        <meta name="referrer" content="no-referrer" />
        <meta name="generator" content="parbake ${packageVersion()}" />
        <link rel="icon" href="${icon}" />
        <title>${title}</title>
        ${element('style', styleSheet)}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header>
          <div>
            <h1>${title}</h1>
            ${data.description === undefined ? '' : html`<p>${data.description}</p>`}
            <p>${periodOf(data)}Made ${moment(data.generatedAt)} by parbake.</p>
            ${live === undefined ? '' : html`<p class="live" id="live" role="status" data-events="${live.events}" data-version="${live.version}">Connecting.</p>`}
          </div>
          <button type="button" id="theme" hidden>Theme</button>
        </header>
        <nav aria-label="Parts of this page">
          <ul>
            ${sections.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}
          </ul>
        </nav>
        <main id="main" tabindex="-1">${sections.map(([, , render]) => render(figures))}</main>
        <footer>
          <p>
            The data of this page is in it as JSON, in the element <code>parbake-data</code>: what
            <code>parbake report --json</code> prints.
          </p>
        </footer>
        ${raw(`<script type="application/json" id="parbake-data">${jsonForScript(data).text}</script>`)}
        ${element('script', pageScript)}
      </body>
    </html> `
  return `${page.text.trim()}\n`
}

/** In one piece: its digest is that of every byte between its tags. */
function element(name: 'script' | 'style', text: string): Html {
  return raw(`<${name}>${text}</${name}>`)
}

function periodOf(data: PageData): Html {
  if (data.from === undefined || data.to === undefined) return html``
  const day = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 10)
  return html`Reports from ${day(data.from)} to ${day(data.to)}. `
}

/** Nothing may be loaded; of scripts and styles only those of this page run, known by their digests. */
function policy(served: boolean): string {
  const digest = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  return [
    `default-src 'none'`,
    `script-src ${digest(pageScript)}`,
    `style-src ${digest(styleSheet)}`,
    'img-src data:',
    ...(served ? [`connect-src 'self'`] : []),
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ')
}

/** A loaf, so that a served page asks for no favicon. */
const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 9a5 5 0 0 1 5-5h4a5 5 0 0 1 5 5v3H1z' fill='%23b5530a'/%3E%3C/svg%3E"
