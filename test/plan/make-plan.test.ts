import { describe, expect, it } from 'vitest'
import { makePlan } from '../../src/plan/make-plan.ts'
import type { Plan } from '../../src/plan/model.ts'
import { assumed } from '../../src/plan/settings.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import type { Recipe, Step } from '../../src/recipe/model.ts'
import { digestOf, recipe, report, step, stepReport } from '../profile/support.ts'

const { residualSecondsPerStep } = assumed
const settings = { minSavingSeconds: 1, minShare: 0 }

/** Three cold boots in which each step took its seconds; a step without seconds was never seen. */
function profileWith(ofRecipe: Recipe, seconds: Readonly<Record<string, number>>, readyUptime = 100) {
  const steps = ofRecipe.steps
    .filter((each) => seconds[each.name] !== undefined)
    .map((each) => stepReport(each.name, seconds[each.name] ?? 0, { when: each.when }))
  return profileOf(steps.length === 0 ? [] : [1, 2, 3].map(() => report(steps, { readyUptime })), ofRecipe)
}

/** `name:decision:reason` of every step. */
function decisions(plan: Plan): string[] {
  return plan.steps.map((each) => `${each.name}:${each.decision}:${each.reason}`)
}

function planOf(steps: readonly Step[], seconds: Readonly<Record<string, number>>, own = settings): Plan {
  const ofRecipe = recipe(steps)
  return makePlan({ recipe: ofRecipe, profile: profileWith(ofRecipe, seconds), settings: own })
}

function conditional(...conditions: readonly string[]): Step['rendered'] {
  return { ...step('any').rendered, conditions }
}

interface Case {
  readonly what: string
  readonly steps: readonly Step[]
  readonly seconds: Readonly<Record<string, number>>
  readonly settings?: typeof settings
  readonly expected: readonly string[]
}

const cases: readonly Case[] = [
  { what: 'an empty recipe', steps: [], seconds: {}, expected: [] },
  {
    what: 'a slow and a quick step',
    steps: [step('slow'), step('quick')],
    seconds: { slow: 10, quick: 0.2 },
    expected: ['slow:bake:slow', 'quick:runtime:quick'],
  },
  {
    what: 'a median exactly at the threshold',
    steps: [step('at'), step('below')],
    seconds: { at: 1, below: 0.999 },
    expected: ['at:bake:slow', 'below:runtime:quick'],
  },
  {
    what: 'a threshold by share of launch-to-ready',
    steps: [step('six'), step('four')],
    seconds: { six: 6, four: 4 },
    settings: { minSavingSeconds: 1, minShare: 0.05 },
    expected: ['six:bake:slow', 'four:runtime:quick'],
  },
  {
    what: 'steps that are no matter of change',
    steps: [step('i', { when: 'instance' }), step('b', { when: 'boot' }), step('a', { when: 'always' })],
    seconds: { i: 50, b: 50, a: 50 },
    expected: ['i:runtime:when', 'b:runtime:when', 'a:runtime:when'],
  },
  {
    what: 'bake: never, and what needs it',
    steps: [step('own', { bake: 'never' }), step('next', { needs: ['own'] }), step('alone')],
    seconds: { own: 50, next: 50, alone: 50 },
    expected: ['own:runtime:bake-never', 'next:runtime:needs-runtime', 'alone:bake:slow'],
  },
  {
    what: 'conditions that a bake cannot know, and what needs them',
    steps: [
      step('tagged', { rendered: conditional('tag is canary') }),
      step('clouded', { rendered: conditional('os is debian', 'platform not aws') }),
      step('next', { needs: ['tagged'] }),
      step('released', { rendered: conditional('os is debian', 'os-version at-least 12', 'arch is x86_64') }),
    ],
    seconds: { tagged: 50, clouded: 50, next: 50, released: 50 },
    expected: [
      'tagged:runtime:condition',
      'clouded:runtime:condition',
      'next:runtime:needs-runtime',
      'released:bake:slow',
    ],
  },
  {
    what: 'secrets, which no image may hold, and what needs them',
    steps: [
      step('secret', { bake: 'always', rendered: { ...step('any').rendered, secrets: ['TOKEN'] } }),
      step('next', { needs: ['secret'] }),
    ],
    seconds: { secret: 50, next: 50 },
    expected: ['secret:runtime:secret', 'next:runtime:needs-runtime'],
  },
  {
    what: 'what nobody measured',
    steps: [step('new'), step('known')],
    seconds: { known: 5 },
    expected: ['new:runtime:not-measured', 'known:bake:slow'],
  },
  {
    what: 'nothing measured at all',
    steps: [step('a'), step('b', { needs: ['a'] })],
    seconds: {},
    expected: ['a:runtime:not-measured', 'b:runtime:not-measured'],
  },
  {
    what: 'bake: always, measured or not, and its needs',
    steps: [step('lib'), step('tool', { needs: ['lib'] }), step('forced', { needs: ['tool'], bake: 'always' })],
    seconds: { lib: 0.1, forced: 0.1 },
    expected: ['lib:bake:needed', 'tool:bake:needed', 'forced:bake:forced'],
  },
  {
    what: 'a chain whose last step is slow',
    steps: [step('a'), step('b', { needs: ['a'] }), step('c', { needs: ['b'] }), step('d', { needs: ['c'] })],
    seconds: { a: 0.1, b: 0.1, c: 9, d: 0.1 },
    expected: ['a:bake:needed', 'b:bake:needed', 'c:bake:slow', 'd:runtime:quick'],
  },
  {
    what: 'a diamond',
    steps: [
      step('top'),
      step('left', { needs: ['top'] }),
      step('right', { needs: ['top'] }),
      step('end', { needs: ['left', 'right'] }),
    ],
    seconds: { top: 0.1, left: 5, right: 0.1, end: 5 },
    expected: ['top:bake:needed', 'left:bake:slow', 'right:bake:needed', 'end:bake:slow'],
  },
  {
    what: 'a diamond with one side that has to run on every instance',
    steps: [
      step('top'),
      step('left', { needs: ['top'] }),
      step('right', { needs: ['top'], when: 'instance' }),
      step('end', { needs: ['left', 'right'] }),
    ],
    seconds: { top: 0.1, left: 5, right: 5, end: 50 },
    expected: ['top:bake:needed', 'left:bake:slow', 'right:runtime:when', 'end:runtime:needs-runtime'],
  },
  {
    what: 'an always-step in the middle of a chain',
    steps: [step('a'), step('b', { needs: ['a'], when: 'always' }), step('c', { needs: ['a', 'b'] })],
    seconds: { a: 5, b: 5, c: 5 },
    expected: ['a:bake:slow', 'b:runtime:when', 'c:runtime:needs-runtime'],
  },
  {
    what: 'bake: always that cannot apply',
    steps: [
      step('boot', { when: 'boot', bake: 'always' }),
      step('after', { needs: ['boot'], bake: 'always' }),
      step('far', { needs: ['after'], bake: 'always' }),
    ],
    seconds: { boot: 5, after: 5, far: 5 },
    expected: ['boot:runtime:when', 'after:runtime:needs-runtime', 'far:runtime:needs-runtime'],
  },
  {
    what: 'a step needed by what is left to runtime only',
    steps: [step('lib'), step('use', { needs: ['lib'], when: 'instance' })],
    seconds: { lib: 0.5, use: 60 },
    expected: ['lib:runtime:quick', 'use:runtime:when'],
  },
  {
    what: 'needs that nobody has, and a cycle',
    steps: [step('lost', { needs: ['nothing'] }), step('x', { needs: ['y'] }), step('y', { needs: ['x'] })],
    seconds: { lost: 5, x: 5, y: 5 },
    expected: ['lost:runtime:needs-runtime', 'x:runtime:needs-runtime', 'y:runtime:needs-runtime'],
  },
  {
    what: 'a threshold of nothing',
    steps: [step('a'), step('b', { when: 'always' })],
    seconds: { a: 0, b: 0 },
    settings: { minSavingSeconds: 0, minShare: 0 },
    expected: ['a:runtime:not-worth', 'b:runtime:when'],
  },
]

describe('makePlan decides', () => {
  it.each(cases)('$what', ({ steps, seconds, expected, ...rest }) => {
    expect(decisions(planOf(steps, seconds, rest.settings))).toEqual(expected)
  })

  it('never to bake what only ever failed, forced or not, nor what needs it', () => {
    const ofRecipe = recipe([step('bad', { bake: 'always' }), step('next', { needs: ['bad'] }), step('shaky')])
    const failed = { outcome: 'failed' as const, exit: 1 }
    const reports = [
      report(
        [stepReport('bad', 9, failed), stepReport('next', 0, { outcome: 'blocked' }), stepReport('shaky', 9, failed)],
        {
          outcome: 'failed',
        },
      ),
      report([stepReport('bad', 9, failed), stepReport('shaky', 9)], { outcome: 'failed' }),
    ]
    const plan = makePlan({ recipe: ofRecipe, profile: profileOf(reports, ofRecipe), settings })
    expect(decisions(plan)).toEqual(['bad:runtime:only-failures', 'next:runtime:needs-runtime', 'shaky:bake:slow'])
    expect(plan.steps[0]?.explanation).toBe('failed in all 2 cold boots that ran it')
    expect(plan.prediction).toBeUndefined()
    expect(plan.notes).toEqual([
      'no prediction: no boot in which all steps ran was measured',
      '2 of 2 cold boots failed; they count only step by step',
    ])
  })

  it('on the costs of a step that hosts on an image no longer run', () => {
    const ofRecipe = recipe([step('a'), step('b')])
    const before = report([stepReport('a', 10), stepReport('b', 0.1)], { readyUptime: 50, startedAt: 1 })
    const after = [2, 3, 4].map((startedAt) =>
      report([stepReport('a', 0, { outcome: 'stamped', baked: true }), stepReport('b', 0.1)], {
        image: 'web-1',
        readyUptime: 40,
        startedAt,
      }),
    )
    const plan = makePlan({ recipe: ofRecipe, profile: profileOf([before, ...after], ofRecipe), settings })
    expect(decisions(plan)).toEqual(['a:bake:slow', 'b:runtime:quick'])
    expect(plan.prediction).toMatchObject({ unbakedSeconds: 50, count: 1 })
  })
})

describe('makePlan explains', () => {
  const chain = [
    step('a'),
    step('b', { needs: ['a'] }),
    step('c', { when: 'instance' }),
    step('d', { needs: ['c', 'a'] }),
  ]

  it('every decision with its numbers', () => {
    const plan = planOf([...chain, step('e'), step('f')], { a: 0.5, b: 17.8, c: 2, d: 3, e: 0.3 })
    expect(plan.steps.map((each) => each.explanation)).toEqual([
      'b needs it; median 0.50 s over 3 cold boots (0.5 % of launch-to-ready)',
      'median 17.8 s over 3 cold boots (18 % of launch-to-ready) reaches the threshold of 1.00 s',
      'runs once on every new instance',
      'needs c, which cannot be baked',
      'median 0.30 s over 3 cold boots (0.3 % of launch-to-ready) is below the threshold of 1.00 s',
      'not measured yet',
    ])
    expect(plan.steps[0]).toMatchObject({ medianSeconds: 0.5, count: 3, share: 0.005, neededBy: ['b'] })
    expect(plan.steps[3]).toMatchObject({ blockedBy: ['c'] })
    expect(plan.steps[5]).not.toHaveProperty('medianSeconds')
  })

  it('for whom a step is baked, briefly', () => {
    const needs = ['lib']
    const users = ['p', 'q', 'r', 's'].map((name) => step(name, { needs }))
    const seconds = { lib: 0.1, p: 5, q: 5, r: 5, s: 5 }
    const text = (count: number) => planOf([step('lib'), ...users.slice(0, count)], seconds).steps[0]?.explanation
    expect(text(1)).toMatch(/^p needs it; /)
    expect(text(2)).toMatch(/^p and q need it; /)
    expect(text(3)).toMatch(/^p, q and r need it; /)
    expect(text(4)).toMatch(/^p, q and 2 more need it; /)
  })

  it('that bake: always was not followed', () => {
    const plan = planOf(
      [step('i', { when: 'instance', bake: 'always' }), step('n', { needs: ['i'], bake: 'always' })],
      {},
    )
    expect(plan.steps.map((each) => each.explanation)).toEqual([
      'runs once on every new instance, so bake: always cannot apply',
      'needs i, which cannot be baked, so bake: always cannot apply',
    ])
  })
})

describe('makePlan predicts', () => {
  it('the median less what is baked, plus the residual', () => {
    const plan = planOf([step('a'), step('b', { needs: ['a'] }), step('c')], { a: 0.5, b: 30, c: 0.5 })
    expect(plan.prediction).toEqual({
      unbakedSeconds: 100,
      count: 3,
      bakedSeconds: 100 - 30.5 + 2 * residualSecondsPerStep,
      savingSeconds: expect.closeTo(30.5 - 2 * residualSecondsPerStep, 10),
      residualSeconds: 2 * residualSecondsPerStep,
      current: true,
      fromPowerOn: false,
      basis: 'medians',
      interval: expect.objectContaining({ formula: 'assumed', coverage: 0.9 }) as unknown,
    })
    expect(plan.notes).toEqual(['firmware time is not known here and left out of launch-to-ready'])
  })

  it('no gain where nothing is baked', () => {
    expect(planOf([step('a')], { a: 0.5 }).prediction).toMatchObject({ savingSeconds: 0, bakedSeconds: 100 })
  })

  it('never less than the residual, even from medians that do not add up', () => {
    const plan = planOf([step('a'), step('b')], { a: 80, b: 80 })
    expect(plan.prediction?.bakedSeconds).toBeCloseTo(2 * residualSecondsPerStep, 10)
  })

  it('the saving of two steps with one digest once', () => {
    const twin = { digest: digestOf('a') }
    expect(planOf([step('a'), step('a2', twin)], { a: 20 }).prediction?.bakedSeconds).toBeCloseTo(80.04, 10)
  })

  it('with a note where a forced step was never measured', () => {
    const plan = planOf([step('a'), step('new', { bake: 'always' })], { a: 20 })
    expect(plan.notes).toContain('the prediction leaves out what was not measured: new')
  })

  it('with a note for few samples and for another version of the recipe', () => {
    const ofRecipe = recipe([step('a')])
    const profile = profileOf([report([stepReport('a', 5), stepReport('gone', 5)], { readyUptime: 60 })], ofRecipe)
    expect(makePlan({ recipe: ofRecipe, profile, settings }).notes).toEqual([
      'few samples: launch-to-ready comes from 1 cold boot',
      'launch-to-ready comes from boots of another version of the recipe; the prediction is rough',
      'firmware time is not known here and left out of launch-to-ready',
    ])
  })
})

describe('planDigest', () => {
  const ofRecipe = recipe([step('a'), step('b'), step('c')])
  const make = (seconds: Readonly<Record<string, number>>, base?: string) =>
    makePlan({
      recipe: ofRecipe,
      profile: profileWith(ofRecipe, seconds),
      settings,
      ...(base === undefined ? {} : { base }),
    }).planDigest

  it('depends on what is baked, not on the measurements', () => {
    expect(make({ a: 5, b: 5, c: 0.1 })).toBe(make({ a: 50, b: 7, c: 0.2 }))
    expect(make({ a: 5, b: 5, c: 0.1 })).not.toBe(make({ a: 5, b: 0.1, c: 0.1 }))
  })

  it('depends on the base', () => {
    const digests = [undefined, 'b1', 'b2'].map((base) => make({ a: 5 }, base))
    expect(new Set(digests).size).toBe(3)
  })

  it('is the sha256 of canonical JSON', () => {
    // printf '{"steps":[],"v":1}' | sha256sum
    expect(make({})).toBe('35ca31bbd8b1e9f8bc05cff2a49932a5ef2e11a2ed26050fc0ddb34f6438d2e6')
  })
})
