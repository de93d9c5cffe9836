import { describe, expect, test } from 'vitest'
import type { ImageManifest } from '../../src/image/manifest.ts'
import { pageDataOf, type PageInput } from '../../src/page/assemble.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import { fleetOf } from '../../src/profile/load.ts'
import type { Report } from '../../src/profile/report.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { launch, recipe, report, step, stepReport } from '../profile/support.ts'

const web = recipe([step('slow'), step('quick', { when: 'always' })])
const at = Date.parse('2026-03-01T12:00:00Z') / 1000

function boot(image: string, slow: number, changes: Partial<Report> = {}): Report {
  const first =
    image === '' ? stepReport('slow', slow) : stepReport('slow', 0, { outcome: 'stamped', baked: true, attempts: 0 })
  const quick = stepReport('quick', 1, { when: 'always', startUptime: 10 + slow })
  return report([first, quick], { image, startUptime: 9, readyUptime: 12 + slow, startedAt: at, ...changes })
}

function manifest(imageId: string, createdAt: string, changes: Partial<ImageManifest> = {}): ImageManifest {
  return {
    v: 1,
    imageId,
    recipe: 'web',
    createdAt,
    base: { name: 'debian-12', digest: sha256('b') },
    bundle: sha256('bundle'),
    steps: [{ name: 'slow', digest: sha256('step slow'), seconds: 18, diskBytes: 5000 }],
    planDigest: sha256('p'),
    format: { type: 'qcow2', compression: 'zstd' },
    sizeBytes: 1000,
    sha256: sha256('d'),
    virtualSizeBytes: 9000,
    addedBytes: 100,
    tools: {},
    parbakeVersion: '0.1.0',
    accelerator: 'tcg',
    verification: { readyUptime: 11, launchSeconds: 15, checks: [] },
    ...changes,
  }
}

function input(reports: readonly Report[], changes: Partial<PageInput> = {}): PageInput {
  const launches = changes.launches ?? []
  const profile = profileOf(reports, web, launches)
  return {
    recipe: web,
    profile,
    fleet: fleetOf(reports, web, launches),
    plan: makePlan({ recipe: web, profile, settings: {} }),
    images: [],
    currentImageId: undefined,
    reports,
    launches,
    nowMs: at * 1000,
    ...changes,
  }
}

describe('pageDataOf', () => {
  test('compares the plain base with the image that hosts get', () => {
    const reports = [boot('', 20), boot('', 22), boot('', 24), boot('i1', 0), boot('i2', 3)]
    const images = [manifest('i1', '2026-01-01T00:00:00Z'), manifest('i2', '2026-02-01T00:00:00Z')]
    const data = pageDataOf(input(reports, { images, currentImageId: 'i1' }))
    expect(data.headline).toMatchObject({
      before: { median: 34, count: 3, few: false, fromPowerOn: false },
      after: { imageId: 'i1', median: 12, count: 1, few: true },
      savedSeconds: 22,
      launchesPerDay: 5,
      savedSecondsPerDay: 110,
    })
    expect(data.headline.savedShare).toBeCloseTo(22 / 34, 12)
    expect(data.images.map(({ imageId, current, fleet }) => [imageId, current, fleet?.median])).toEqual([
      ['i2', false, 15],
      ['i1', true, 12],
    ])
    expect(data.generatedAt).toBe('2026-03-01T12:00:00.000Z')
  })

  test('takes the newest image that hosts have booted where none is current', () => {
    const reports = [boot('', 20), boot('i1', 0), boot('i2', 1)]
    const images = ['i1', 'i2', 'i3'].map((id, index) => manifest(id, `2026-0${index + 1}-01T00:00:00Z`))
    expect(pageDataOf(input(reports, { images })).headline.after?.imageId).toBe('i2')
    expect(pageDataOf(input(reports, { images, currentImageId: 'i3' })).headline.after?.imageId).toBe('i2')
    // Both are of the same day, with as many boots; their manifests are gone.
    expect(pageDataOf(input(reports, { images: [] })).headline.after?.imageId).toBe('i1')
    expect(pageDataOf(input([boot('', 20)], { images })).headline).not.toHaveProperty('after')
  })

  test('counts a slower image as a loss, and no seconds saved a day from it', () => {
    const images = [manifest('i1', '2026-01-01T00:00:00Z')]
    const { headline } = pageDataOf(input([boot('', 5), boot('i1', 30)], { images }))
    expect(headline.savedSeconds).toBe(-25)
    expect(headline).not.toHaveProperty('savedSecondsPerDay')
  })

  test('holds predictions against what the verifying launch took', () => {
    const images = [
      manifest('old', '2026-01-01T00:00:00Z'),
      manifest('new', '2026-02-01T00:00:00Z', {
        predicted: { unbakedSeconds: 40, bakedSeconds: 12, measuredSeconds: 9 },
      }),
    ]
    const [newest, oldest] = pageDataOf(input([boot('', 20)], { images })).images
    expect(newest).toMatchObject({ predictedSeconds: 12, verifiedSeconds: 9, predictionError: -0.25 })
    expect(oldest).toMatchObject({ verifiedSeconds: 15 })
    expect(oldest).not.toHaveProperty('predictedSeconds')
    expect(oldest).not.toHaveProperty('predictionError')
  })

  test('adds the time before the kernel where a launch was timed', () => {
    const timed = boot('', 20, { run: 'timed' })
    const launches = [launch({ run: 'timed', launchSeconds: 37, readyUptime: 32 })]
    const data = pageDataOf(input([timed], { launches }))
    expect(data.headline.before).toMatchObject({ median: 37, fromPowerOn: true })
    expect(data.boots.before).toMatchObject({ fromPowerOn: true, waterfall: { launchToReady: 37 } })
    expect(data.time.before).toMatchObject({ mean: 37 })
    expect(data.history.days).toMatchObject([{ day: '2026-03-01', ready: { median: 37 } }])
  })

  test('marks the days on which recipe and image were new, but not the first of all', () => {
    const day = 86_400
    const reports = [
      boot('', 20, { bundle: sha256('one') }),
      boot('', 20, { bundle: sha256('two'), startedAt: at + day }),
      boot('i1', 0, { bundle: sha256('two'), startedAt: at + 2 * day }),
    ]
    expect(pageDataOf(input(reports)).history.events).toEqual([
      { kind: 'recipe', day: '2026-03-02', name: sha256('two') },
      { kind: 'image', day: '2026-03-03', name: 'i1' },
    ])
  })

  test('shows steps of the plan with what was measured of them, failures newest first', () => {
    const failed = (run: string, startedAt: number) =>
      boot('', 20, {
        run,
        startedAt,
        outcome: 'failed',
        error: 'no',
        steps: [stepReport('slow', 2, { outcome: 'failed', exit: 1 })],
      })
    const data = pageDataOf(input([boot('', 20), failed('a', at + 1), failed('b', at + 2)]))
    expect(data.steps).toMatchObject([
      { name: 'slow', count: 1, few: true, failures: 2, wall: { median: 20 } },
      { name: 'quick', count: 1, failures: 0, wall: { median: 1 } },
    ])
    expect(data.failedBoots.map(({ run }) => run)).toEqual(['b', 'a'])
    expect(data.reports).toMatchObject({ cold: 3, failed: 2 })
  })

  test('is plain JSON, groups only where hosts tell what they are', () => {
    const plain = pageDataOf(input([boot('', 20)]))
    expect(JSON.parse(JSON.stringify(plain))).toEqual(plain)
    expect(plain.groups.map(({ dimension, value }) => [dimension, value])).toEqual([['distribution', 'debian-12']])
    const cloud = pageDataOf(input([boot('', 20, { instanceType: 'm6i.large' }), boot('', 20)]))
    expect(cloud.groups.map(({ dimension, value }) => [dimension, value])).toEqual([
      ['instanceType', 'm6i.large'],
      ['instanceType', 'unknown'],
      ['distribution', 'debian-12'],
    ])
  })
})
