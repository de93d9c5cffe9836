import { describe, expect, it } from 'vitest'
import { waitForKey } from '../../src/plan/host-keys.ts'
import { random } from '../../bench/random.ts'

const keys = { rsaSeconds: 5, otherSeconds: 1 }

describe('the wait for the RSA host key', () => {
  it.each([0, 0.5, 1, 2, 5, 12])('is what %d s of head start leave of keys that are drawn', (headStart) => {
    const next = random(headStart + 1)
    const exponential = () => -Math.log(1 - next())
    const waits = Array.from({ length: 200_000 }, () => {
      const key = 5 * (0.2 + 0.4 * (exponential() + exponential()))
      return Math.max(0, key - headStart)
    })
    const mean = waits.reduce((sum, each) => sum + each, 0) / waits.length
    const deviation = Math.sqrt(waits.reduce((sum, each) => sum + (each - mean) ** 2, 0) / waits.length)
    const wait = waitForKey(keys, headStart)
    expect(wait.seconds).toBeCloseTo(mean, 1)
    expect(wait.deviation).toBeCloseTo(deviation, 1)
  })

  it('is nothing where no key is made', () => {
    expect(waitForKey({ rsaSeconds: 0, otherSeconds: 0 }, 3)).toEqual({ seconds: 0, deviation: 0 })
  })
})
