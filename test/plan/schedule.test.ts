import { describe, expect, it, test } from 'vitest'
import { makespan, stepsAtATime, type Job } from '../../src/plan/schedule.ts'
import { random } from '../../bench/random.ts'

const job = (seconds: number, needs: readonly number[] = [], packages = false): Job => ({ seconds, needs, packages })

describe('the time that steps take', () => {
  test.each([
    ['none', [], 2, 0],
    ['one after the other', [job(3), job(4)], 1, 7],
    ['side by side', [job(3), job(4)], 2, 4],
    ['a third waits for the first that ends', [job(3), job(4), job(2)], 2, 5],
    ['what needs another waits', [job(3), job(4, [0]), job(1)], 4, 7],
    ['one package manager at a time', [job(3, [], true), job(4, [], true), job(5)], 4, 7],
    ['what waits for the package manager lets others pass', [job(3, [], true), job(4, [], true), job(5)], 2, 7],
    ['what takes no time takes no place', [job(0), job(0, [0]), job(2, [1]), job(2)], 2, 2],
    ['chains and what stands alone', [job(1), job(2, [0]), job(3, [1]), job(5)], 2, 6],
  ] as const)('%s', (_, jobs, limit, seconds) => {
    expect(makespan(jobs, limit)).toBe(seconds)
  })

  it('is between the longest chain and the sum, which it is one at a time', () => {
    const next = random(7)
    for (let round = 0; round < 300; round += 1) {
      const jobs = Array.from({ length: 1 + Math.floor(next() * 12) }, (_, at) =>
        job(
          Math.floor(next() * 5),
          Array.from({ length: at }, (__, other) => other).filter(() => next() < 0.3),
          next() < 0.3,
        ),
      )
      const sum = jobs.reduce((total, { seconds }) => total + seconds, 0)
      const chains: number[] = []
      for (const { seconds, needs } of jobs) {
        chains.push(seconds + Math.max(0, ...needs.map((need) => chains[need] as number)))
      }
      expect(makespan(jobs, 1)).toBe(sum)
      const span = makespan(jobs, 3)
      expect(span).toBeGreaterThanOrEqual(Math.max(...chains))
      expect(span).toBeLessThanOrEqual(sum)
      const free = jobs.map((each) => ({ ...each, packages: false }))
      expect(makespan(free, jobs.length)).toBe(Math.max(...chains))
    }
  })
})

describe('how hosts run steps', () => {
  test.each([
    [undefined, 1, 1],
    [undefined, 2, 2],
    [undefined, 16, 4],
    [8, 2, 8],
    [1, 16, 1],
  ] as const)('with parallel: %s on %i processors: %i at a time', (parallel, cpus, expected) => {
    expect(stepsAtATime(parallel === undefined ? {} : { parallel }, cpus)).toBe(expected)
  })
})
