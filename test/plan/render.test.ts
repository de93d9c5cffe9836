import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { every, formatSigned } from '../../src/plan/explain.ts'
import { makePlan } from '../../src/plan/make-plan.ts'
import { renderWhy } from '../../src/plan/render-why.ts'
import { renderPlan } from '../../src/plan/render.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { fixture, fixtureNames, launch, recipe, step } from '../profile/support.ts'
import { image, planWorld, stepOf, type World } from './support.ts'

const ofRecipe = recipe([
  step('packages'),
  step('app-venv', { needs: ['packages'] }),
  step('compile'),
  step('nginx-site', { needs: ['packages'] }),
  step('register', { when: 'instance' }),
  step('heartbeat', { when: 'always' }),
])
const launches = [launch({ run: fixture('runtime').run, launchSeconds: 78.03, readyUptime: 72.77 })]
const boots = fixtureNames.map(fixture)
const plan = makePlan({
  recipe: ofRecipe,
  profile: profileOf(boots, ofRecipe, launches),
  settings: { minSavingSeconds: 1, minShare: 0.02 },
})
const plain = { colour: false }

const steps = [step('big'), step('small'), step('new')]
const world: World = {
  steps,
  measured: { big: { seconds: 30, mib: 400 }, small: { seconds: 0.2 } },
  evidence: {
    images: [image(steps, ['big'], { predicted: { unbakedSeconds: 90, bakedSeconds: 50, measuredSeconds: 47.5 } })],
    inForce: image(steps, ['big', 'small'], { digests: { big: sha256('old big') } }),
  },
  settings: { minSavingSeconds: 1, prices: { currency: 'EUR', launchHour: 0.4, bakeHour: 0.1, storageGiBMonth: 0.05 } },
}

describe('renderPlan', () => {
  it('shows the fixtures like this', () => {
    expect(renderPlan(plan, plain)).toBe(`web: 3 of 6 steps to bake (balanced, threshold 1.56 s)

STEP        DECISION  MEDIAN  SHARE  WHY
packages    bake      14.8 s   19 %  median 14.8 s over 2 cold boots (19 % of launch-to-ready) reaches the threshold of 1.56 s
app-venv    bake      9.37 s   12 %  median 9.37 s over 1 cold boot (12 % of launch-to-ready) reaches the threshold of 1.56 s
compile     bake      7.91 s   10 %  median 7.91 s over 2 cold boots (10 % of launch-to-ready) reaches the threshold of 1.56 s
nginx-site  runtime   0.31 s  0.7 %  median 0.31 s over 2 cold boots (0.7 % of launch-to-ready) is below the threshold of 1.56 s
register    runtime   0.22 s  0.5 %  runs once on every new instance
heartbeat   runtime   0.05 s  0.1 %  runs at every converge

what would change it:
  packages    would be left below one launch in 50 days
  app-venv    would be left below one launch in 50 days
  compile     would be left below one launch in 19 days
  nginx-site  would be baked from a median of 1.56 s

balance:
  saves  32.0 s a launch, 95.8 s a day at 3 launches a day (assumed)
  costs  58.8 MiB of image and a bake of 2 min 16 s every 15 days (assumed); 0.3 % of launches find a step stale

launch-to-ready:
  now          ████████████████████ 78.0 s
  predicted    ███████████▊         46.0 s, 0.06 s of it for finding baked steps done
  nine of ten  39.1 s to 52.9 s (spread assumed, 1 boot from the profile's medians)
  saving       32.0 s (41 %)

note:  few samples: launch-to-ready comes from 1 cold boot
note:  1 of 3 cold boots failed; they count only step by step

plan ${plan.planDigest.slice(0, 12)}
`)
  })

  it('shows money, earlier predictions and the image in force where there are any', () => {
    const text = renderPlan(planWorld(world), plain)
    expect(text).toMatch(/^ {2}a month +\d+\.\d\d EUR of launches saved; 0\.0\d EUR of bakes, 0\.00 EUR of storage$/m)
    expect(text).toContain('predicted 50.0 s, measured 47.5 s (-5.0 %; one launch)')
    expect(text).toMatch(/^against web-\S+, in force:\n {2}drops {7}small\n {2}bakes anew {2}big$/m)
  })

  it('says how far from the best it may be', () => {
    const open = { ...plan, optimum: { method: 'bounded' as const, exact: false, gap: 0.0123 } }
    expect(renderPlan(open, plain).split('\n')[0]).toContain('threshold 1.56 s, at most 1.2 % below the best)')
  })

  it('stays within a narrow terminal, words whole, and adds colour only where asked', () => {
    for (const width of [50, 60, 80, 120]) {
      const text = renderPlan(plan, { colour: true, width })
      const lines = stripVTControlCharacters(text).split('\n')
      const wide = lines.filter((line) => line.length > width && !line.startsWith('web:'))
      expect([width, wide]).toEqual([width, []])
      expect(text).toContain('\u001B[')
    }
    expect(renderPlan(plan, plain)).not.toContain('\u001B[')
    expect(renderPlan(plan, { colour: false, width: 60 })).not.toContain('█')
  })

  it('lets no recipe write to the terminal', () => {
    const evil = { ...plan, steps: plan.steps.map((each) => ({ ...each, explanation: 'a\u001B[2Jb\r\nc' })) }
    expect(renderPlan(evil, plain)).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  })
})

describe('renderWhy', () => {
  it('gives all numbers behind a decision', () => {
    const of = planWorld(world)
    expect(renderWhy(of, stepOf(of, 'big'), plain))
      .toBe(`big is baked: median 30.0 s over 30 cold boots reaches the threshold of 1.00 s

measured:
  median     30.0 s over 30 cold boots
  threshold  1.00 s (plan.minSaving, plan.minShare)
  changes    every 17 days
  image      the one in force has another version

what baking it is worth:
  saves    30.0 s a launch; baked it takes 0.02 s (assumed)
  fresh    100 % of launches find the version that is baked
  size     100 MiB in the image as stored
  gain     ${formatSigned(stepOf(of, 'big').costs.gainPerDay)} a day at 3 launches a day, less 1.00 s per GiB (assumed)
  cost     ${stepOf(of, 'big').costs.costPerDay.toFixed(2)} s a day of bakes and storage, weighed against launches
  balance  ${formatSigned(stepOf(of, 'big').costs.gainPerDay - stepOf(of, 'big').costs.costPerDay)} a day by itself, without what it needs or what needs it

It ${stepOf(of, 'big').wouldChange}.
`)
  })

  it('says what it does not know', () => {
    const of = planWorld(world)
    const text = renderWhy(of, stepOf(of, 'new'), plain)
    expect(text).toContain('  median     never measured\n')
    expect(text).toContain('  size     not known\n')
  })
})

it.each([
  [10, '10 times a day'],
  [2, '2 times a day'],
  [1, 'every day'],
  [0.4, 'every 2.5 days'],
  [0.03, 'every 33 days'],
])('%s a day is %s', (rate, text) => {
  expect(every(rate)).toBe(text)
})
