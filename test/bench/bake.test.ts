import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Sample } from '../../bench/bake/contender.ts'
import { judgeGrowth } from '../../bench/bake/growth.ts'
import { pointOf, type BakeKind } from '../../bench/bake/interrupt-points.ts'
import { findLeftovers, isClean } from '../../bench/bake/leftovers.ts'
import { measure } from '../../bench/bake/measure.ts'
import { Family, processes } from '../../bench/bake/processes.ts'
import { aims, judgeAims, samplesTable } from '../../bench/bake/results.ts'
import { tempDir } from '../../src/system/temp.ts'

const sample = (seconds: number, sizeBytes: number): Sample => ({ seconds, sizeBytes, peakMiB: 100 })

describe('aims', () => {
  const samples = new Map([
    ['packer', [sample(90, 400), sample(100, 400), sample(500, 400)]],
    ['container, cold', [sample(15, 359)]],
    ['vm, cold', [sample(91, 361)]],
  ])

  test('are judged by medians, and only where there is something to judge', () => {
    expect(judgeAims(samples).map(({ label, of, ratio, met }) => [label, of, ratio, met])).toEqual([
      ['container, cold', 'seconds', 0.15, true],
      ['vm, cold', 'seconds', 0.91, false],
      ['container, cold', 'sizeBytes', 0.8975, true],
      ['vm, cold', 'sizeBytes', 0.9025, false],
    ])
    expect(judgeAims(new Map([['container, cold', [sample(1, 1)]]]))).toEqual([])
  })

  test('are those of the issue', () => {
    const of = (label: string) => aims.filter((aim) => aim.label === label).map(({ atMost }) => atMost)
    expect(of('container, cold')).toEqual([0.15, 0.9])
    expect(of('vm, cold')).toEqual([0.9, 0.9])
    expect(of('container, last step changed')).toEqual([0.04])
    expect(of('vm, last step changed')).toEqual([0.25])
  })

  test('the table has median, range and ratio', () => {
    const lines = samplesTable(samples).split('\n')
    expect(lines[1]?.split(/\s{2,}/)).toEqual(['packer', '100.0', '90.0', '500.0', '3', '1.000', '0', '1.000', '100'])
    expect(lines[2]?.split(/\s{2,}/)?.slice(0, 6)).toEqual(['container, cold', '15.0', '15.0', '15.0', '1', '0.150'])
  })
})

describe('growth', () => {
  const grown = (...rows: readonly (readonly [number, number, number])[]) =>
    judgeGrowth(rows.map(([dataMb, seconds, peakMiB]) => ({ dataMb, seconds, peakMiB })))

  test('that is linear has a bend of 1', () => {
    const { slopes, bend, memory } = grown([50, 5, 200], [200, 8, 210], [800, 20, 220])
    expect(slopes).toEqual([2, 2])
    expect(bend).toBe(1)
    expect(memory).toBeCloseTo(1.1)
  })

  test('that is quadratic has a bend above 1', () => {
    expect(grown([50, 25, 1], [200, 400, 1], [800, 6400, 1]).bend).toBe(4)
  })

  test('needs three samples', () => {
    expect(() => grown([50, 1, 1], [200, 1, 1])).toThrow(RangeError)
  })
})

describe('points of interruption', () => {
  const pointsOf = (points: number, publishEvery: number) =>
    Array.from({ length: points }, (_, index) => pointOf(index, { points, publishEvery }))

  test.each([
    [50, 10, { cold: 23, warm: 22, publish: 5 }],
    [6, 0, { cold: 3, warm: 3, publish: 0 }],
    [7, 3, { cold: 3, warm: 2, publish: 2 }],
  ])('%i with every %i-th publishing cover each kind evenly', (points, publishEvery, counts) => {
    const all = pointsOf(points, publishEvery)
    for (const kind of ['cold', 'warm', 'publish'] as const satisfies readonly BakeKind[]) {
      const shares = all.filter((point) => point.kind === kind).map((point) => point.share)
      expect(shares.length).toBe(counts[kind])
      const wanted = shares.map((_, index) => (index + 0.5) / shares.length)
      expect(shares.map((share) => share.toFixed(6))).toEqual(wanted.map((share) => share.toFixed(6)))
    }
  })

  test('six have every signal twice, and each kind every signal', () => {
    const all = pointsOf(6, 0)
    for (const kind of ['cold', 'warm']) {
      const used = all.filter((point) => point.kind === kind).map(({ stopSignal }) => stopSignal)
      expect(used.toSorted()).toEqual(['SIGINT', 'SIGKILL', 'SIGTERM'])
    }
  })
})

describe('measure', () => {
  const options = (folder: string) => ({
    env: { ...process.env },
    cwd: folder,
    log: join(folder, 'log'),
    signal: new AbortController().signal,
  })

  test('sees the memory of children of children', async () => {
    await using folder = await tempDir('bench-test')
    // Python fills 100 MiB and holds them for longer than a sample takes.
    const hold = 'import time; data = bytearray(b"x") * (100 << 20); time.sleep(2); print(len(data))'
    const result = await measure(
      'sh',
      ['-c', `sh -c "python3 -c '${hold.replaceAll('"', '\\"')}'; true"`],
      options(folder.path),
    )
    expect(result.stdout).toBe(`${100 << 20}\n`)
    expect(result.peakMiB).toBeGreaterThan(100)
    expect(result.seconds).toBeGreaterThan(2)
  })

  test('tells what a program that fails has printed', async () => {
    await using folder = await tempDir('bench-test')
    await expect(measure('sh', ['-c', 'echo broken >&2; exit 3'], options(folder.path))).rejects.toThrow(
      /ended with 3[\s\S]*broken/,
    )
  })

  test('stops the whole group when it is interrupted', async () => {
    await using folder = await tempDir('bench-test')
    const controller = new AbortController()
    const ended = measure('sh', ['-c', 'sleep 600 & echo $! >pid; wait'], {
      ...options(folder.path),
      signal: controller.signal,
      graceMs: 200,
    })
    await sleep(300)
    controller.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
    expect(await findLeftovers(folder.path, 0, new Family(0), 5000)).toMatchObject({ processes: [] })
  })
})

describe('leftovers', () => {
  test('a process that lost its parent is found, by having been seen and by its environment', async () => {
    await using folder = await tempDir('bench-test')
    const script = 'sleep 601 & echo started; read -r line'
    const child = spawn('sh', ['-c', script], {
      env: { ...process.env, MARK: folder.path },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const family = new Family(child.pid ?? 0)
    await once(child.stdout, 'data')
    const members = family.look()
    expect(members.length).toBe(2)
    const orphan = members.find((pid) => pid !== child.pid) ?? 0
    try {
      child.kill('SIGKILL')
      await once(child, 'exit')
      const found = await findLeftovers(folder.path, child.pid ?? 0, new Family(0), 0)
      expect(found.processes).toEqual([expect.stringContaining('sleep 601')])
      expect(await findLeftovers('/nowhere-at-all', child.pid ?? 0, family, 0)).toEqual(found)
    } finally {
      process.kill(orphan, 'SIGKILL')
    }
    const after = await findLeftovers(folder.path, child.pid ?? 0, family)
    expect(isClean(after)).toBe(true)
    expect(processes().has(process.pid)).toBe(true)
  })
})
