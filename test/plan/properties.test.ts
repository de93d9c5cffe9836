import { describe, expect, it } from 'vitest'
import { makePlan } from '../../src/plan/make-plan.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import type { BakeChoice, Recipe, Step, When } from '../../src/recipe/model.ts'
import { recipe, report, step, stepReport } from '../profile/support.ts'
import { random } from '../../bench/random.ts'

function randomRecipe(next: () => number): Recipe {
  const steps: Step[] = []
  const size = Math.floor(next() * 13)
  const density = next()
  for (let index = 0; index < size; index += 1) {
    const when: When = next() < 0.75 ? 'change' : (['instance', 'boot', 'always'] as const)[Math.floor(next() * 3)]!
    const bake: BakeChoice = next() < 0.7 ? 'auto' : next() < 0.5 ? 'always' : 'never'
    const needs = steps.filter(() => next() < density * 0.6).map((each) => each.name)
    steps.push(step(`s${index}`, { when, bake, needs }))
  }
  return recipe(steps)
}

function randomProfile(ofRecipe: Recipe, next: () => number) {
  const kinds = new Map(ofRecipe.steps.map((each) => [each.name, next()]))
  const reports = Array.from({ length: Math.floor(next() * 4) }, () => {
    const steps = ofRecipe.steps.flatMap((each) => {
      const kind = kinds.get(each.name) ?? 0
      if (kind < 0.15) return []
      if (kind < 0.3) return [stepReport(each.name, 5, { when: each.when, outcome: 'failed' as const, exit: 1 })]
      return [stepReport(each.name, kind < 0.65 ? next() : next() * 20, { when: each.when })]
    })
    return report(steps, { readyUptime: 150, outcome: steps.some((each) => each.exit !== 0) ? 'failed' : 'ok' })
  })
  return profileOf(reports, ofRecipe)
}

const settings = { minSavingSeconds: 1, minShare: 0.01 }

function randomCase(seed: number) {
  const next = random(seed)
  const ofRecipe = randomRecipe(next)
  const profile = randomProfile(ofRecipe, next)
  const plan = makePlan({ recipe: ofRecipe, profile, settings })
  return { ofRecipe, profile, plan, baked: new Set(plan.steps.filter((s) => s.decision === 'bake').map((s) => s.name)) }
}

const seeds = Array.from({ length: 1500 }, (_, index) => index + 1)

describe('on random recipes', () => {
  it('some bake and some do not, so that the rest means something', () => {
    const sizes = seeds.map((seed) => randomCase(seed).baked.size)
    expect(sizes.filter((size) => size === 0).length).toBeGreaterThan(50)
    expect(sizes.filter((size) => size >= 2).length).toBeGreaterThan(200)
  })

  it('all that a baked step needs is baked', () => {
    for (const seed of seeds) {
      const { ofRecipe, baked } = randomCase(seed)
      for (const each of ofRecipe.steps.filter((s) => baked.has(s.name))) {
        expect([seed, each.name, each.needs.filter((need) => !baked.has(need))]).toEqual([seed, each.name, []])
      }
    }
  })

  it('no step is baked that may not be', () => {
    for (const seed of seeds) {
      const { ofRecipe, profile, baked } = randomCase(seed)
      for (const each of ofRecipe.steps.filter((s) => baked.has(s.name))) {
        expect([seed, each.when, each.bake === 'never']).toEqual([seed, 'change', false])
        const measured = profile.steps.find((s) => s.digest === each.digest)
        expect(measured === undefined || measured.count > 0 || measured.failures === 0).toBe(true)
      }
    }
  })

  it('every baked step has cause: forced, slow, or needed by one that is', () => {
    for (const seed of seeds) {
      const { ofRecipe, plan, baked } = randomCase(seed)
      for (const each of plan.steps) {
        const source = ofRecipe.steps.find((s) => s.name === each.name)
        if (each.decision === 'runtime') continue
        if (each.reason === 'forced') expect(source?.bake).toBe('always')
        if (each.reason === 'slow') expect(each.medianSeconds).toBeGreaterThanOrEqual(plan.thresholdSeconds)
        if (each.reason === 'needed') expect(each.neededBy.some((name) => baked.has(name))).toBe(true)
      }
    }
  })

  it('no step that could be baked and is worth it is left', () => {
    for (const seed of seeds) {
      const { plan } = randomCase(seed)
      for (const each of plan.steps) {
        if (each.decision !== 'runtime') continue
        if (each.reason === 'quick') expect(each.medianSeconds).toBeLessThan(plan.thresholdSeconds)
        if (each.reason === 'not-measured') expect(each.medianSeconds).toBeUndefined()
        if (each.reason === 'needs-runtime') expect(each.blockedBy.length).toBeGreaterThan(0)
      }
    }
  })

  it('the saving is never more than there was, and the plan is the same each time', () => {
    for (const seed of seeds.slice(0, 300)) {
      const { ofRecipe, profile, plan } = randomCase(seed)
      expect(plan.steps.map((each) => each.name)).toEqual(ofRecipe.steps.map((each) => each.name))
      expect(plan.prediction?.savingSeconds ?? 0).toBeLessThanOrEqual(plan.prediction?.unbakedSeconds ?? 0)
      expect(makePlan({ recipe: ofRecipe, profile, settings })).toEqual(plan)
    }
  })
})
