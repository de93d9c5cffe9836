import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { parseDurationOption } from '../../src/profile/duration.ts'

describe('parseDurationOption', () => {
  it.each([
    ['0', 0],
    ['90', 90],
    ['1s', 1],
    ['1.5s', 1.5],
    ['500ms', 0.5],
    ['15m', 900],
    ['12h', 43_200],
    ['7d', 604_800],
  ])('reads %s as %d s', (text, seconds) => {
    expect(parseDurationOption('--since', text)).toBeCloseTo(seconds, 10)
  })

  it.each(['', 's', '-1s', '1y', '1e3s', '7 days', 'soon', '2w'])('refuses %j', (text) => {
    let thrown: unknown
    try {
      parseDurationOption('--since', text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(UserError)
    expect(thrown).toMatchObject({ exitCode: 2, message: `'${text}' is no duration for --since` })
  })
})
