import { describe, expect, test } from 'vitest'
import { addedBytes, growthText, refuseOverBudget, sizeByStep } from '../../src/bake/size.ts'

const mib = 1024 ** 2
const steps = [
  { name: 'small', diskBytes: 3 * mib },
  { name: 'none', diskBytes: 0 },
  { name: 'large', diskBytes: 80 * mib },
]
const config = (maxGrowthBytes: number | undefined) => ({
  bake: { engine: 'auto' as const, maxGrowthBytes, verifyLaunches: 1 },
})

describe('the size of an image', () => {
  test('a whole image adds what it is larger than its base, a thin one all of itself', () => {
    expect(addedBytes({ sizeBytes: 30, baseBytes: 20, thin: false })).toBe(10)
    expect(addedBytes({ sizeBytes: 30, baseBytes: 20, thin: true })).toBe(30)
  })

  test('an image can be smaller than its base', () => {
    expect([80 * mib, 0, -256 * 1024].map(growthText)).toEqual([
      '80.0 MiB more than',
      '0 B more than',
      '256 KiB less than',
    ])
  })

  test('steps are listed by what they take, the largest first', () => {
    expect(sizeByStep(steps)).toBe('large 80.0 MiB, small 3.0 MiB')
  })

  test('a bound holds to the byte', () => {
    const size = { sizeBytes: 120, baseBytes: 20, thin: false, steps }
    refuseOverBudget(config(undefined), size)
    refuseOverBudget(config(100), size)
    expect(() => refuseOverBudget(config(99), size)).toThrow(/1 B more than bake\.maxGrowth allows\n.*large 80\.0 MiB/)
  })
})
