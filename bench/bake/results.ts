import { renderTable } from '../../src/report/table.ts'
import { median } from '../figures.ts'
import type { Sample } from './contender.ts'
import { judgeGrowth, type GrowthSample } from './growth.ts'

/** All samples of one kind of image, by label, in the order of the first run. */
export type Samples = ReadonlyMap<string, readonly Sample[]>

/** What an aim is about, in times of Packer's median. */
export interface Aim {
  readonly label: string
  readonly of: 'seconds' | 'sizeBytes'
  readonly atMost: number
}

/** The aims that the README names. */
export const aims: readonly Aim[] = [
  { label: 'container, cold', of: 'seconds', atMost: 0.15 },
  { label: 'vm, cold', of: 'seconds', atMost: 0.9 },
  { label: 'container, last step changed', of: 'seconds', atMost: 0.04 },
  { label: 'vm, last step changed', of: 'seconds', atMost: 0.25 },
  { label: 'container, cold', of: 'sizeBytes', atMost: 0.9 },
  { label: 'vm, cold', of: 'sizeBytes', atMost: 0.9 },
  { label: 'container, thin, last step changed', of: 'sizeBytes', atMost: 0.5 },
  { label: 'vm, thin, last step changed', of: 'sizeBytes', atMost: 0.5 },
]

export interface AimResult extends Aim {
  readonly ratio: number
  readonly met: boolean
}

/** The aims that the samples can tell of; none without Packer's. Pure. */
export function judgeAims(samples: Samples): readonly AimResult[] {
  const middle = (label: string, of: Aim['of']) => {
    const values = samples.get(label)?.map((sample) => sample[of]) ?? []
    return values.length === 0 ? undefined : median(values)
  }
  return aims.flatMap((aim) => {
    const [own, packer] = [middle(aim.label, aim.of), middle('packer', aim.of)]
    if (own === undefined || packer === undefined) return []
    const ratio = own / packer
    return [{ ...aim, ratio, met: ratio <= aim.atMost }]
  })
}

/** One line per kind of image: seconds, size and memory, the first two also in times of Packer's. */
export function samplesTable(samples: Samples): string {
  const packer = samples.get('packer')
  const times = (values: readonly number[], of: Aim['of']) =>
    packer === undefined ? '' : (median(values) / median(packer.map((sample) => sample[of]))).toFixed(3)
  const rows = [...samples].map(([label, list]) => {
    const seconds = list.map((sample) => sample.seconds)
    const bytes = list.map((sample) => sample.sizeBytes)
    return [
      label,
      median(seconds).toFixed(1),
      Math.min(...seconds).toFixed(1),
      Math.max(...seconds).toFixed(1),
      String(list.length),
      times(seconds, 'seconds'),
      (median(bytes) / 1e6).toFixed(0),
      times(bytes, 'sizeBytes'),
      Math.max(...list.map((sample) => sample.peakMiB)).toFixed(0),
    ]
  })
  const headers = ['median s', 'min', 'max', 'runs', 'x Packer', 'MB', 'x Packer', 'peak MiB']
  return renderTable([{ header: 'image' }, ...headers.map((header) => ({ header, align: 'right' as const }))], rows)
}

/** What was aimed at and what came of it; empty where no aim can be told of. */
export function aimsTable(results: readonly AimResult[]): string {
  if (results.length === 0) return ''
  const rows = results.map(({ label, of, ratio, atMost, met }) => [
    label,
    of === 'seconds' ? 'time' : 'size',
    ratio.toFixed(3),
    String(atMost),
    met ? 'yes' : 'NO',
  ])
  const right = 'right' as const
  return renderTable(
    [
      { header: 'aim' },
      { header: 'of' },
      { header: 'x Packer', align: right },
      { header: 'at most', align: right },
      { header: 'met' },
    ],
    rows,
  )
}

export function growthTable(growth: ReadonlyMap<string, readonly GrowthSample[]>): string {
  return [...growth]
    .map(([engine, samples]) => {
      const rows = samples.map((sample) => [
        String(sample.dataMb),
        sample.seconds.toFixed(1),
        (sample.sizeBytes / 1e6).toFixed(0),
        sample.peakMiB.toFixed(0),
      ])
      const headers = [`${engine}: MB written`, 'seconds', 'image MB', 'peak MiB']
      const table = renderTable(
        headers.map((header) => ({ header, align: 'right' as const })),
        rows,
      )
      const { slopes, bend, memory } = judgeGrowth(samples)
      const [first, second] = slopes.map((slope) => slope.toFixed(2))
      return `${table}\n${first} then ${second} s per 100 MB (bend ${bend.toFixed(2)}); memory times ${memory.toFixed(2)}`
    })
    .join('\n\n')
}
