import type { Needs } from '../../src/plan/closure.ts'
import type { Profile, Spread, StepProfile } from '../../src/profile/model.ts'
import type { Recipe, Step } from '../../src/recipe/model.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { random } from '../random.ts'

export interface Shape {
  readonly name: string
  readonly needs: Needs
  readonly weights: readonly number[]
  readonly costs: readonly number[]
}

const numbers = (size: number) => Array.from({ length: size }, (_, index) => index)

/** Recipes of `size` steps in the shapes that needs take, with weights and costs at random but the same each time. */
export function shapes(size: number): readonly Shape[] {
  const next = random(size)
  const earlier = (density: number) => numbers(size).map((item) => numbers(item).filter(() => next() < density))
  const all: Record<string, Needs> = {
    alone: numbers(size).map(() => []),
    chain: numbers(size).map((item) => (item === 0 ? [] : [item - 1])),
    'by default': numbers(size).map((item) => numbers(item)),
    tree: numbers(size).map((item) => (item === 0 ? [] : [Math.floor(next() * item)])),
    sparse: earlier(2 / size),
    dense: earlier(0.2),
  }
  return Object.entries(all).map(([name, needs]) => ({
    name,
    needs,
    weights: needs.map(() => Math.round((next() * 2 - 1) * 1e6)),
    costs: needs.map(() => Math.round(next() * 1e6)),
  }))
}

/** A recipe in which each step needs two earlier ones at random, and a profile in which each was measured. */
export function measuredRecipe(size: number): { readonly recipe: Recipe; readonly profile: Profile } {
  const next = random(size + 1)
  const steps: Step[] = numbers(size).map((item) => ({
    name: `step-${item}`,
    type: 'script',
    when: 'change',
    bake: 'auto',
    timeoutSeconds: 900,
    retries: 0,
    needs: item === 0 ? [] : [...new Set([0, 1].map(() => `step-${Math.floor(next() * item)}`))],
    rendered: { script: '#!/bin/sh\n', env: {}, files: [] },
    digest: sha256(`step ${item}`),
  }))
  const measured = steps.map((step): StepProfile => {
    const wall = spread(next() ** 4 * 20)
    return {
      ...{ name: step.name, digest: step.digest, when: 'change', current: true, count: 30, few: false },
      ...{ wall, cpu: wall, rxBytes: spread(0), diskBytes: spread(next() * 50e6), share: undefined },
      ...{ failures: 0, baked: 0 },
    }
  })
  const total = spread(measured.reduce((sum, step) => sum + (step.wall?.median ?? 0), 40))
  const ready = { image: undefined, count: 30, few: false, launchToReady: total, readyUptime: total }
  return {
    recipe: { name: 'many', folder: '/many', file: '/many/recipe.yaml', params: {}, everyMinutes: 15, steps },
    profile: {
      ...{ v: 1, recipe: 'many', quantiles: 'type-7', failedBoots: [] },
      reports: { fleet: 30, cold: 30, failed: 0, otherPurpose: 0 },
      ...{ from: 1_700_000_000, to: 1_700_864_000, steps: measured },
      ready: { allRan: { ...ready, firmwareSeconds: 4, current: true }, someBaked: undefined, images: [] },
    },
  }
}

function spread(median: number): Spread {
  return { count: 30, median, p95: median * 1.2, min: median * 0.9, max: median * 1.3 }
}
