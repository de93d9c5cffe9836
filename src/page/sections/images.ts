import { barsChart } from '../charts/bars.ts'
import type { ImageView } from '../data.ts'
import { formats, type Figures } from '../figures.ts'
import { html, type Html } from '../html.ts'
import { code, figure, legend, moment, plural, section, table } from '../parts.ts'

/** More than these make no readable chart; the table has all. */
const chartedImages = 12

/** Images, their sizes and what they brought. */
export function images(figures: Figures): Html {
  const { data } = figures
  if (data.images.length === 0) {
    return section('images', 'Images', 'There is no image of this recipe in the store.', '')
  }
  const current = data.images.findIndex((image) => image.current)
  const shown = data.images.slice(0, chartedImages)
  const label = `Stored size: ${shown.map((image) => `${image.imageId} ${formats.bytes(image.sizeBytes)}`).join(', ')}.`
  return section(
    'images',
    'Images',
    html`${figures.data.images.length} ${plural(data.images.length, 'image')} ${data.images.length === 1 ? 'is' : 'are'}
    in the store.
    ${current === -1 ? 'No channel points to one of them.' : html`Hosts get ${code(data.images[current]?.imageId ?? '')}.`}`,
    html`${figure(
      barsChart(
        shown.map((image) => ({
          label: image.imageId,
          pieces: piecesOf(image),
          total: formats.bytes(image.sizeBytes),
        })),
        label,
        { axis: 'MiB as stored', format: (mib) => formats.bytes(mib * mebi) },
      ),
      'Newest first: what the base alone takes, then what the bake added to it.',
    )}
    ${legend([
      { colour: 'c-firmware', label: 'the base alone' },
      { colour: 'c-image', label: 'added by the bake' },
    ])}
    ${imageTable(figures)} ${stepSizes(figures, Math.max(0, current))}`,
  )
}

const mebi = 1024 * 1024

/** An image that is smaller than its base is one piece. */
function piecesOf({ sizeBytes, addedBytes }: ImageView) {
  const added = Math.min(sizeBytes, Math.max(0, addedBytes))
  return [
    { name: 'base', colour: 'firmware', value: (sizeBytes - added) / mebi },
    { name: 'added', colour: 'image', value: added / mebi },
  ]
}

function imageTable(figures: Figures): Html {
  return table(
    'Images, newest first',
    [
      { header: 'Image' },
      { header: 'Baked' },
      { header: 'Base' },
      { header: 'Stored', numeric: true },
      { header: 'Added', numeric: true },
      { header: 'Steps', numeric: true },
      { header: 'Predicted', numeric: true },
      { header: 'First launch', numeric: true },
      { header: 'Error', numeric: true },
      { header: 'Fleet median', numeric: true },
    ],
    figures.data.images.map((image, index) => {
      const at = (member: string, format: (value: number) => string) => figures.at(`/images/${index}/${member}`, format)
      return [
        html`${code(image.imageId)}${image.current ? ' (current)' : ''}${image.thin ? ' (thin)' : ''}`,
        moment(image.createdAt),
        html`<span class="whole">${image.base}</span>`,
        at('sizeBytes', formats.bytes),
        at('addedBytes', formats.signedBytes),
        String(image.steps.length),
        at('predictedSeconds', formats.seconds),
        at('verifiedSeconds', formats.seconds),
        at('predictionError', formats.signedShare),
        image.fleet === undefined
          ? at('fleet/median', formats.seconds)
          : html`${at('fleet/median', formats.seconds)}<br /><span class="meta"
                >${at('fleet/count', formats.count)} ${plural(image.fleet.count, 'boot')}</span
              >`,
      ]
    }),
  )
}

/** What each step put into the image that hosts get, or else into the newest. */
function stepSizes(figures: Figures, index: number): Html {
  const image = figures.data.images[index]
  if (image === undefined || image.steps.length === 0) return html``
  const at = (step: number, member: string, format: (value: number) => string) =>
    figures.at(`/images/${index}/steps/${step}/${member}`, format)
  return table(
    `What is in ${image.imageId}`,
    [
      { header: 'Baked step' },
      { header: 'Took in the bake', numeric: true },
      { header: 'Disk, uncompressed', numeric: true },
    ],
    image.steps.map((step, position) => [
      step.name,
      at(position, 'seconds', formats.seconds),
      at(position, 'diskBytes', formats.bytes),
    ]),
  )
}
