import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { checkContents, workloadResult } from './contents.ts'
import type { Bench, Sample } from './contender.ts'
import { ParbakeHome } from './parbake.ts'

export interface GrowthSample extends Sample {
  /** MB that the last step wrote. */
  readonly dataMb: number
}

const sizes = [50, 200, 800] as const

/** Bakes with ever more data in the last step, the others from the cache. */
export async function measureGrowth(bench: Bench, engine: 'container' | 'vm'): Promise<readonly GrowthSample[]> {
  const folder = join(bench.work, `growth-${engine}`)
  await mkdir(folder)
  try {
    const home = new ParbakeHome(bench, folder)
    await home.make()
    const disk = join(folder, 'disk.qcow2')
    const samples: GrowthSample[] = []
    // The first bake fills the cache and is not counted.
    for (const [index, dataMb] of [1, ...sizes].entries()) {
      const sample = await home.bake(disk, ['--engine', engine, '--param', `dataMb=${dataMb}`])
      await checkContents(disk, workloadResult(dataMb), bench.signal)
      await rm(disk)
      if (index === 0) continue
      bench.say(`${engine}, ${dataMb} MB: ${sample.seconds.toFixed(1)} s, peak ${sample.peakMiB.toFixed(0)} MiB`)
      samples.push({ dataMb, ...sample })
    }
    return samples
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export interface GrowthVerdict {
  /** Seconds per 100 MB from the smallest to the middle size, and from there to the largest. */
  readonly slopes: readonly [number, number]
  /** The second slope over the first: 1 is linear, more grows faster than what is written. */
  readonly bend: number
  /** Peak memory at the largest over that at the smallest size. */
  readonly memory: number
}

/** What the samples say about cost against size; they must be three, by size. Pure. */
export function judgeGrowth(samples: readonly Pick<GrowthSample, 'dataMb' | 'seconds' | 'peakMiB'>[]): GrowthVerdict {
  const [small, middle, large] = samples
  if (small === undefined || middle === undefined || large === undefined)
    throw new RangeError('three samples are needed')
  const slope = (a: typeof small, b: typeof small) => ((b.seconds - a.seconds) / (b.dataMb - a.dataMb)) * 100
  const slopes = [slope(small, middle), slope(middle, large)] as const
  return { slopes, bend: slopes[1] / slopes[0], memory: large.peakMiB / small.peakMiB }
}
