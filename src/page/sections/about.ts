import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { plural, section } from '../parts.ts'

/** How to read the figures. */
export function about(figures: Figures): Html {
  const { reports } = figures.data
  return section(
    'about',
    'About these figures',
    html`From ${figures.at('/reports/fleet', formats.count)} ${plural(reports.fleet, 'report')} of the fleet, of which
    ${figures.at('/reports/cold', formats.count)} ${plural(reports.cold, 'is the', 'are the')} first
    ${plural(reports.cold, 'converge')} of an instance.`,
    html`<dl>
      <dt><strong>Launch to ready</strong></dt>
      <dd>
        Seconds from power-on until the last due step of the first converge has finished. Where nobody could see what
        was before the kernel, it counts from the kernel’s start, and the text says so.
      </dd>
      <dt><strong>Median, 95 % within</strong></dt>
      <dd>
        Half of the boots took no longer than the median, 95 % no longer than the other figure. Over many boots these
        come from sketches and are off by at most ${figures.at('/quantileError', formats.share)} of the value.
      </dd>
      <dt><strong>Few</strong></dt>
      <dd>Fewer than three samples: a hint, no certainty.</dd>
      <dt><strong>Baked</strong></dt>
      <dd>
        A step whose work is in the image already. Everything else runs on the host, so that an update is an upload.
      </dd>
      <dt><strong>Predicted, first launch, error</strong></dt>
      <dd>
        What the plan expected of an image, what the launch that verified the bake took, and by how much they differ.
        The launch of a bake is one boot on the machine that baked; the fleet’s median is what counts.
      </dd>
    </dl>`,
  )
}
