import type { PageData, ReadyView } from '../data.ts'
import { formats, notMeasured, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, plural, section } from '../parts.ts'

/** What a manager reads first: how long a host takes, without and with an image. */
export function overview(figures: Figures): Html {
  const { headline } = figures.data
  const tiles = [
    tile('Everything at runtime', figures.at('/headline/before/median', formats.seconds), {
      className: 'runtime',
      meta: readyMeta(figures, '/headline/before', headline.before),
    }),
    tile('With the image', figures.at('/headline/after/median', formats.seconds), {
      className: 'image',
      meta: readyMeta(figures, '/headline/after', headline.after),
    }),
    tile('Saved per launch', figures.at('/headline/savedSeconds', formats.seconds), {
      meta:
        headline.savedShare === undefined
          ? ''
          : html`${figures.at('/headline/savedShare', formats.share)} of the time at runtime`,
    }),
    tile('Launches per day', figures.at('/headline/launchesPerDay', formats.rate), {
      meta:
        headline.savedSecondsPerDay === undefined
          ? ''
          : html`${figures.at('/headline/savedSecondsPerDay', formats.seconds)} of waiting saved a day`,
    }),
    tile('Failed first boots', figures.at('/reports/failed', formats.count), {
      meta: html`of ${figures.at('/reports/cold', formats.count)}`,
    }),
  ]
  return section('overview', 'Launch to ready', leadOf(figures), html`<dl class="tiles">${tiles}</dl>`)
}

function leadOf(figures: Figures): Html {
  const { headline } = figures.data
  const { before, after, savedSeconds } = headline
  if (before === undefined && after === undefined) {
    return html`No boot in which all steps ran, and none with an image, has been measured yet.`
  }
  if (after === undefined) {
    return html`A host is ready ${figures.at('/headline/before/median', formats.seconds)} after ${start(before)}. No
    launch with an image has been measured
    yet${
      figures.data.plan.prediction === undefined
        ? ''
        : html`; the plan below expects ${figures.at('/plan/prediction/bakedSeconds', formats.seconds)}`
    }.`
  }
  const now = html`With image ${code(after.imageId)} a host is ready
  ${figures.at('/headline/after/median', formats.seconds)} after ${start(after)}`
  if (before === undefined || savedSeconds === undefined) {
    return html`${now}. How long it takes without an image has not been measured yet.`
  }
  const instead = figures.at('/headline/before/median', formats.seconds)
  const newer = figures.data.images.find((image) => image.current && image.imageId !== after.imageId)
  const unseen =
    newer === undefined ? '' : html` Hosts get image ${code(newer.imageId)} now, which none has booted yet.`
  return savedSeconds > 0
    ? html`${now}, instead of ${instead} with everything at runtime.${unseen}`
    : html`${now}; with everything at runtime it takes ${instead}. This image does not make launches faster.${unseen}`
}

function start(ready: ReadyView | undefined): string {
  return ready?.fromPowerOn === true ? 'power-on' : 'the kernel’s start'
}

function readyMeta(figures: Figures, pointer: string, ready: PageData['headline']['before']): Html {
  if (ready === undefined) return html``
  return html`median of ${figures.at(`${pointer}/count`, formats.count)} ${plural(ready.count, 'boot')}, 95 % within
  ${figures.at(`${pointer}/p95`, formats.seconds)}${ready.few ? '; too few to be sure' : ''}${
    ready.current ? '' : '; of another version of the recipe'
  }`
}

function tile(name: string, value: Html, options: { readonly className?: string; readonly meta: Html | string }): Html {
  const missing = value === notMeasured
  return html`<div class="${options.className ?? ''}">
    <dt>${name}</dt>
    <dd class="value">${value}</dd>
    ${missing ? '' : html`<dd class="meta">${options.meta}</dd>`}
  </div>`
}
