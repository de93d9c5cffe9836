import { barsChart, type Bar } from '../charts/bars.ts'
import type { Plan } from '../../plan/model.ts'
import type { PageData } from '../data.ts'
import { formats, type Figures, type Format } from '../figures.ts'
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
    html`The plan bakes ${baked} of ${plan.steps.length} ${plural(plan.steps.length, 'step')} and leaves the others to
    runtime. ${objectiveText(figures)}`,
    html`${
      bars.length < 2
        ? html`<p class="none">
            What the plan saves cannot be foretold yet: no boot in which all steps ran was measured.
          </p>`
        : figure(barsChart(bars, label, { axis: 'seconds', format: formats.seconds }), predictionText(figures))
    }
    ${decisionTable(figures)} ${balanceTable(figures)} ${differenceText(plan.inForce)} ${tuningTable(figures)}
    ${
      plan.notes.length === 0
        ? ''
        : html`<ul>
            ${plan.notes.map((note) => html`<li>${note}</li>`)}
          </ul>`
    }`,
  )
}

function objectiveText(figures: Figures): Html {
  const { settings, optimum } = figures.data.plan
  const aims = {
    balanced: 'It weighs what launches save against bakes, bytes and upkeep.',
    fastest: 'It makes launches as short as baking can.',
    smallest: 'It takes the fewest bytes that bring most of that.',
    target: html`It takes the fewest bytes that reach ${figures.at('/plan/settings/targetSeconds', formats.seconds)}.`,
  } as const
  const bound = optimum.exact
    ? ''
    : html` A better choice could be better by ${figures.at('/plan/optimum/gap', formats.share)} at most.`
  return html`${aims[settings.objective]}${bound}`
}

function barsOf(data: PageData): Bar[] {
  const { prediction } = data.plan
  if (prediction === undefined) return []
  const { after } = data.headline
  const bar = (label: string, colour: string, value: number): Bar => ({
    label,
    pieces: [{ name: 'median', colour, value }],
    total: formats.seconds(value),
  })
  const { lowSeconds: low, highSeconds: high } = prediction.interval
  return [
    bar('Everything at runtime', 'runtime', prediction.unbakedSeconds),
    { ...bar('Predicted', 'systemd', prediction.bakedSeconds), interval: { low, high } },
    ...(after === undefined ? [] : [bar('Measured with the image', 'image', after.median)]),
  ]
}

function predictionText(figures: Figures): Html {
  const { headline, plan } = figures.data
  const at = (member: string) => figures.at(`/plan/prediction/${member}`, formats.seconds)
  const measured =
    headline.after === undefined
      ? ' No launch of an image has been measured yet.'
      : html` Measured with image ${code(headline.after.imageId)}:
        ${figures.at('/headline/after/median', formats.seconds)}.`
  return html`Launch-to-ready now ${at('unbakedSeconds')}, predicted ${at('bakedSeconds')}, a saving of
  ${at('savingSeconds')} per launch. The thin line is where
  ${figures.at('/plan/prediction/interval/coverage', formats.share)} of the launches should be, from
  ${at('interval/lowSeconds')} to
  ${at('interval/highSeconds')}${
    plan.prediction?.interval.formula === 'assumed' ? ' (assumed: too few boots to see how they spread)' : ''
  }.${measured}
  ${plan.prediction?.fromPowerOn === false ? 'Firmware time is left out of all of these.' : ''}`
}

/** What the plan brings and costs. */
function balanceTable(figures: Figures): Html {
  const { economics, model } = figures.data.plan
  const row = (name: string, member: string, format: Format, unit = '', note = '') => [
    name,
    html`${figures.at(`/plan/${member}`, format)}${unit}`,
    note,
  ]
  const { money } = economics
  const source = { measured: 'from the reports', setting: 'as set', assumed: 'assumed' } as const
  return table(
    'What the plan brings and costs, against baking nothing',
    [{ header: 'What' }, { header: 'How much', numeric: true }, { header: 'How it is known', prose: true }],
    [
      row('Saved per launch', 'economics/savedPerLaunch', formats.signedSeconds, '', 'by the baked steps alone'),
      row('Launches', 'model/launchesPerDay/value', formats.rate, ' a day', source[model.launchesPerDay.source]),
      row(
        'Saved',
        'economics/savedPerDay',
        formats.signedSeconds,
        ' a day',
        'less for launches that find a step stale',
      ),
      row('Launches that find a step stale', 'economics/staleShare', formats.share),
      row('Added to the image, as stored', 'economics/imageBytes', formats.bytes),
      row('Bakes', 'economics/bakesPerDay', formats.rate, ' a day', 'as often as a baked step changes'),
      row('Baking', 'economics/bakeSecondsPerDay', formats.seconds, ' a day'),
      ...(money === undefined
        ? []
        : [
            row('Launches saved', 'economics/money/savedPerMonth', formats.money, ` ${money.currency} a month`),
            row('Bakes', 'economics/money/bakesPerMonth', formats.money, ` ${money.currency} a month`),
            row('Storage', 'economics/money/storagePerMonth', formats.money, ` ${money.currency} a month`),
          ]),
    ],
  )
}

function differenceText(difference: Plan['inForce']): Html {
  if (difference === undefined) return html``
  const { imageId, added, removed, changed, kept } = difference
  const parts = [
    ...(added.length === 0 ? [] : [`adds ${added.join(', ')}`]),
    ...(removed.length === 0 ? [] : [`drops ${removed.join(', ')}`]),
    ...(changed.length === 0 ? [] : [`bakes ${changed.join(', ')} anew`]),
  ]
  return html`<p>
    Against image ${code(imageId)}, which hosts get now, this plan
    ${parts.length === 0 ? 'bakes the same steps' : parts.join('; ')}.
    ${kept ? 'Another choice would gain too little to bake anew.' : ''}
  </p>`
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
      html`${step.explanation}${step.wouldChange === undefined ? '' : html` <span class="meta">(${step.wouldChange})</span>`}`,
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
