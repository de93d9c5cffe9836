import { describe, expect, it } from 'vitest'
import { placeInRollout, takesRollout } from '../../src/rollout/membership.ts'

const hosts = Array.from({ length: 10_000 }, (_, index) => `web-${index}-${(index * 2_654_435_761) % 2 ** 32}`)

describe('which hosts take a rollout', () => {
  it.each<[string, string, number]>([
    // printf %s r1:web-a1b2c3d4 | sha256sum begins with 4d425d15.
    ['r1', 'web-a1b2c3d4', 4837],
    ['20261121-3f2a9c', 'web-1-a1b2c3d4', 520],
    ['r1', '', 7098],
  ])('%s:%s stands at %i, as a shell computes it', (id, host, place) => {
    expect(placeInRollout(id, host)).toBe(place)
  })

  it.each([1, 5, 10, 25, 50, 75, 99])('%i percent of 10,000 hosts, within binomial bounds', (percent) => {
    for (const id of ['20261121-3f2a9c', 'a', 'another']) {
      const taken = hosts.filter((host) => takesRollout({ id, percent, tags: [] }, host)).length
      const p = percent / 100
      // Four standard deviations: fixed hosts and ids, so no luck is involved once it holds.
      expect(Math.abs(taken - hosts.length * p)).toBeLessThan(4 * Math.sqrt(hosts.length * p * (1 - p)))
    }
  })

  it('nobody at 0 and everybody at 100', () => {
    expect(hosts.some((host) => takesRollout({ id: 'a', percent: 0, tags: [] }, host))).toBe(false)
    expect(hosts.every((host) => takesRollout({ id: 'a', percent: 100, tags: [] }, host))).toBe(true)
  })

  it('raising the percentage only adds hosts', () => {
    for (const host of hosts.slice(0, 500)) {
      let before = false
      for (let percent = 0; percent <= 100; percent += 1) {
        const now = takesRollout({ id: 'r', percent, tags: [] }, host)
        expect(before && !now).toBe(false)
        before = now
      }
    }
  })

  it('another rollout begins with other hosts', () => {
    const first = (id: string) => new Set(hosts.filter((host) => takesRollout({ id, percent: 10, tags: [] }, host)))
    const [one, two] = [first('one'), first('two')]
    const both = [...one].filter((host) => two.has(host)).length
    // Ten percent of ten percent, not all of them.
    expect(both).toBeGreaterThan(50)
    expect(both).toBeLessThan(160)
  })

  it.each<[readonly string[], readonly string[], boolean]>([
    [['canary'], ['canary'], true],
    [['canary', 'eu'], ['us', 'eu'], true],
    [['canary'], ['Canary', 'canary2'], false],
    [['canary'], [], false],
    [[], ['canary'], false],
  ])('tags %j of the rollout and %j of the host', (tags, own, expected) => {
    expect(takesRollout({ id: 'r', percent: 0, tags }, 'host', own)).toBe(expected)
  })
})
