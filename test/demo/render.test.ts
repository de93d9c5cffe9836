import { expect, test } from 'vitest'
import type { ImageManifest } from '../../src/image/manifest.ts'
import { demoJson, renderDemo } from '../../src/demo/render.ts'
import type { DemoResult } from '../../src/demo/demo.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { digestOf, recipe, report, step, stepReport } from '../profile/support.ts'

const web = recipe([step('packages', { needs: [] }), step('check', { when: 'always', needs: [] })])
const runtime = report([stepReport('packages', 60), stepReport('check', 0.5, { when: 'always' })], { readyUptime: 100 })
const baked = report(
  [
    stepReport('packages', 0, { outcome: 'stamped', baked: true, attempts: 0 }),
    stepReport('check', 0.25, { when: 'always' }),
  ],
  { readyUptime: 38, image: 'web-1' },
)
const plan = makePlan({
  recipe: web,
  profile: profileOf([runtime], web),
  settings: { minSavingSeconds: 1, minShare: 0 },
})
const manifest: ImageManifest = {
  v: 1,
  imageId: 'web-1',
  recipe: 'web',
  createdAt: '2026-01-02T03:04:05.000Z',
  base: { name: 'debian-12', digest: sha256('base') },
  bundle: sha256('bundle'),
  steps: [{ name: 'packages', digest: digestOf('packages'), seconds: 50 }],
  planDigest: plan.planDigest,
  format: { type: 'qcow2', compression: 'zstd' },
  sizeBytes: 300 * 1024 * 1024,
  sha256: sha256('disk'),
  virtualSizeBytes: 4 * 1024 ** 3,
  addedBytes: 90 * 1024 * 1024,
  tools: { qemu: '7.2' },
  parbakeVersion: '0.1.0',
  accelerator: 'tcg',
  verification: { readyUptime: 38, launchSeconds: 40, checks: [{ name: 'converged', ok: true }] },
}
const result: DemoResult = {
  recipe: web,
  base: {
    v: 1,
    name: 'debian-12',
    digest: sha256('base'),
    path: '/cache/disk.qcow2',
    format: 'qcow2',
    sizeBytes: 210 * 1024 * 1024,
    virtualSizeBytes: 4 * 1024 ** 3,
    distribution: 'Debian 12 (bookworm)',
    builtAt: '2026-01-01T00:00:00Z',
  },
  plan,
  image: { manifest, reused: false, serial: 1 },
  before: { launchSeconds: 104, accelerator: 'tcg', report: runtime },
  after: { launchSeconds: 40, accelerator: 'tcg', report: baked },
}

test('the closing table has a line per step, both launches, and what to type next', () => {
  const text = renderDemo(result, { colour: false })
  const line = (start: string) => text.split('\n').find((each) => each.startsWith(start)) ?? ''
  expect(line('packages')).toMatch(/^packages +60\.0 s +- +baked +\S/)
  expect(line('check')).toMatch(/^check +0\.50 s +0\.25 s +runtime +\S/)
  expect(line('launch-to-ready from the base')).toMatch(/104\.0 s$/)
  expect(line('launch-to-ready from the image')).toMatch(/40\.0 s +\(2\.6 times faster\)$/)
  expect(line('image:')).toMatch(/300 MiB, 90\.0 MiB more than its base debian-12$/)
  expect(text).toContain('npx parbake launch recipes/web --image latest')
})

test('a reused image is said to be one', () => {
  const text = renderDemo({ ...result, image: { ...result.image, reused: true } }, { colour: false })
  expect(text).toContain('reused, because base and steps are the same')
})

test('the same as data', () => {
  expect(demoJson(result)).toMatchObject({
    recipe: 'web',
    image: { imageId: 'web-1', reused: false, serial: 1 },
    before: { launchSeconds: 104 },
    after: { launchSeconds: 40 },
  })
})
