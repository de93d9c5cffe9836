import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, moment, section, table } from '../parts.ts'

/** First boots that failed; no launch-to-ready counts them. */
export function failures(figures: Figures): Html {
  const { failedBoots, reports } = figures.data
  if (reports.failed === 0) return section('failures', 'Failed boots', 'No first boot has failed.', '')
  return section(
    'failures',
    'Failed boots',
    html`${figures.at('/reports/failed', formats.count)} of ${figures.at('/reports/cold', formats.count)} first boots
    failed. They are in no figure of launch-to-ready.`,
    table(
      failedBoots.length < reports.failed ? `The last ${failedBoots.length} of them` : 'All of them, newest first',
      [
        { header: 'When' },
        { header: 'Host' },
        { header: 'Image' },
        { header: 'Steps' },
        { header: 'Error', prose: true },
      ],
      failedBoots.map((boot) => [
        moment(new Date(boot.startedAt * 1000).toISOString()),
        code(boot.host),
        boot.image === '' ? 'plain base' : code(boot.image),
        boot.steps.join(', '),
        boot.error,
      ]),
    ),
  )
}
