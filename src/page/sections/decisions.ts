import { barsChart, type Bar } from '../charts/bars.ts'
import type { PageData } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, figure, folded, plural, section, table } from '../parts.ts'

/** What is baked, what is left, and why. */
export function decisions(figures: Figures): Html {
  const { plan } = figures.data
  const baked = plan.steps.filter((step) => step.decision === 'bake').length
  const bars = barsOf(figures.data)
  const label = bars.map((bar) => `${bar.label}: ${bar.total}`).join('; ')
  return section(
    'plan',
    'What is baked, and why',
    `The plan bakes ${baked} of ${plan.steps.length} ${plural(plan.steps.length, 'step')} and leaves the others to runtime.`,
    html`${
      bars.length < 2
        ? html`<p class="none">
            What the plan saves cannot be foretold yet: no boot in which all steps ran was measured.
          </p>`
        : figure(barsChart(bars, label, { axis: 'seconds', format: formats.seconds }), predictionText(figures))
    }
    ${decisionTable(figures)} ${tuningTable(figures)}
    ${
      plan.notes.length === 0
        ? ''
        : html`<ul>
            ${plan.notes.map((note) => html`<li>${note}</li>`)}
          </ul>`
    }`,
  )
}

function barsOf(data: PageData): Bar[] {
  const { prediction } = data.plan
  if (prediction === undefined) return []
  const { after, predictedLow: low, predictedHigh: high } = data.headline
  const bar = (label: string, colour: string, value: number): Bar => ({
    label,
    pieces: [{ name: 'median', colour, value }],
    total: formats.seconds(value),
  })
  return [
    bar('Everything at runtime', 'runtime', prediction.unbakedSeconds),
    {
      ...bar('Predicted', 'systemd', prediction.bakedSeconds),
      ...(low === undefined || high === undefined ? {} : { interval: { low, high } }),
    },
    ...(after === undefined ? [] : [bar('Measured with the image', 'image', after.median)]),
  ]
}

function predictionText(figures: Figures): Html {
  const { headline, plan } = figures.data
  const interval =
    headline.predictedLow === undefined || headline.predictedHigh === undefined
      ? ''
      : html` (between ${figures.at('/headline/predictedLow', formats.seconds)} and
        ${figures.at('/headline/predictedHigh', formats.seconds)})`
  const measured =
    headline.after === undefined
      ? ' No launch of an image has been measured yet.'
      : html` Measured with image ${code(headline.after.imageId)}:
        ${figures.at('/headline/after/median', formats.seconds)}.`
  return html`Launch-to-ready now ${figures.at('/plan/prediction/unbakedSeconds', formats.seconds)}, predicted
  ${figures.at('/plan/prediction/bakedSeconds', formats.seconds)}${interval}, a saving of
  ${figures.at('/plan/prediction/savingSeconds', formats.seconds)} per launch.${measured}
  ${plan.prediction?.fromPowerOn === false ? 'Firmware time is left out of all of these.' : ''}`
}

function decisionTable(figures: Figures): Html {
  return table(
    'Decision for each step',
    [
      { header: 'Step' },
      { header: 'Decision' },
      { header: 'Runs' },
      { header: 'Median', numeric: true },
      { header: 'Share', numeric: true },
      { header: 'Why', prose: true },
    ],
    figures.data.plan.steps.map((step, index) => [
      step.name,
      step.decision === 'bake'
        ? html`<span class="badge bake">bake</span>`
        : html`<span class="badge stays">runtime</span>`,
      whenText[step.when],
      figures.at(`/plan/steps/${index}/medianSeconds`, formats.seconds),
      figures.at(`/plan/steps/${index}/share`, formats.share),
      step.explanation,
    ]),
  )
}

const whenText = {
  change: 'on change',
  instance: 'once per instance',
  boot: 'at every boot',
  always: 'at every converge',
} as const

function tuningTable(figures: Figures): Html {
  const { tunings } = figures.data.plan
  if (tunings.length === 0) return html``
  const applied = tunings.filter((tuning) => tuning.apply).length
  return folded(
    `Boot tuning of the image: ${applied} of ${tunings.length} applied`,
    table(
      'Boot tuning of the image',
      [{ header: 'Tuning' }, { header: 'Decision' }, { header: 'Why', prose: true }],
      tunings.map(({ title, apply, why }) => [
        title,
        apply ? html`<span class="badge bake">apply</span>` : html`<span class="badge stays">leave</span>`,
        why,
      ]),
    ),
  )
}
