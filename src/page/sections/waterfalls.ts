import { waterfallChart } from '../charts/spans.ts'
import type { TypicalBoot } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, figure, folded, legend, moment, section, table } from '../parts.ts'

type Side = 'before' | 'after'

/** One typical boot without and one with the image, second by second. */
export function waterfalls(figures: Figures): Html {
  const { boots } = figures.data
  const present = [boots.before, boots.after].filter((boot) => boot !== undefined)
  if (present.length === 0) {
    const missing = html`${missingText(figures, 'before')}`
    return section('waterfall', 'From power-on to ready', missing, '')
  }
  const longest = Math.max(...present.map((boot) => boot.waterfall.launchToReady))
  const used = new Set(present.flatMap((boot) => boot.waterfall.spans.map((span) => span.category)))
  const entries = categoryNames.filter(([category]) => used.has(category))
  return section(
    'waterfall',
    'From power-on to ready',
    'Two typical boots, drawn to the same scale: each bar is one stretch of time, and together they are the whole way.',
    html`${legend(entries.map(([category, label]) => ({ colour: `c-${category}`, label })))}
    ${oneBoot(figures, 'before', boots.before, longest)} ${oneBoot(figures, 'after', boots.after, longest)}`,
  )
}

/** In the order in which a boot goes through them. */
export const categoryNames = [
  ['firmware', 'firmware'],
  ['kernel', 'kernel'],
  ['initrd', 'initial RAM disk'],
  ['systemd', 'systemd units'],
  ['cloud-init', 'cloud-init'],
  ['agent', 'agent'],
  ['step', 'steps of the recipe'],
  ['gap', 'gaps: nothing that was measured'],
] as const

const titles: Readonly<Record<Side, string>> = { before: 'Everything at runtime', after: 'With the image' }

function oneBoot(figures: Figures, side: Side, boot: TypicalBoot | undefined, longest: number): Html {
  if (boot === undefined) {
    return html`<h3>${titles[side]}</h3>
      <p class="none">${missingText(figures, side)}</p>`
  }
  const { waterfall } = boot
  const pointer = `/boots/${side}/waterfall`
  const seconds = formats.seconds(waterfall.launchToReady)
  const label = `${titles[side]}: ${waterfall.spans.length} stretches of time, ${seconds} in all; the table has each of them.`
  return html`<h3>${titles[side]}: ${figures.at(`${pointer}/launchToReady`, formats.seconds)}</h3>
    ${figure(waterfallChart(waterfall, longest, label), captionOf(figures, side, boot))}
    ${folded(`All ${waterfall.spans.length} stretches as a table`, spanTable(figures, side, boot))}`
}

/** Statistics know every boot; only some are read one by one. */
function missingText(figures: Figures, side: Side): string {
  return figures.data.headline[side] === undefined
    ? 'No such boot has been measured yet.'
    : 'Such boots were measured, but none is among the newest reports, which are read one by one for this chart.'
}

function captionOf(figures: Figures, side: Side, boot: TypicalBoot): Html {
  const { waterfall } = boot
  const image = waterfall.image === '' ? '' : html`, image ${code(waterfall.image)}`
  const chosen =
    boot.of === 1
      ? 'The only such boot'
      : html`The boot nearest to the median, chosen from ${figures.at(`/boots/${side}/of`, formats.count)} boots read
        one by one`
  return html`${chosen}: host ${code(waterfall.host)}${image},
  ${moment(new Date(waterfall.startedAt * 1000).toISOString())}.
  ${boot.fromPowerOn ? '' : 'What was before the kernel is not known for this boot, so that the chart begins with the kernel.'}
  ${boot.detailed ? '' : 'Kernel, systemd and cloud-init were not measured one by one in this boot.'}`
}

function spanTable(figures: Figures, side: Side, boot: TypicalBoot): Html {
  const at = (index: number, member: 'start' | 'end') =>
    figures.at(`/boots/${side}/waterfall/spans/${index}/${member}`, formats.seconds)
  return table(
    `Stretches of the boot, ${titles[side].toLowerCase()}`,
    [
      { header: 'What' },
      { header: 'Part' },
      { header: 'From', numeric: true },
      { header: 'Until', numeric: true },
      { header: 'Takes', numeric: true },
      { header: 'Detail', prose: true },
    ],
    boot.waterfall.spans.map((span, index) => [
      span.name,
      span.category,
      at(index, 'start'),
      at(index, 'end'),
      formats.seconds(span.end - span.start),
      span.detail ?? '',
    ]),
  )
}
