import { isDeepStrictEqual } from 'node:util'
import { findStepType } from '../steps/registry.ts'
import type { Software } from '../steps/types.ts'
import type { WrittenStep } from './order.ts'

type Fields = Readonly<Record<string, unknown>>

/** Steps that need one piece of software, with their places in the list. */
interface Demand {
  readonly software: Software
  readonly places: number[]
}

/**
 * The steps with those that install what others require, each before the first that requires it and needed by all of them.
 * Where the recipe has a step of that name, it stands for it.
 */
export function withSoftware<Written extends WrittenStep>(steps: readonly Written[]): readonly Written[] {
  const names = steps.map(({ raw }) => fieldsOf(raw)['name'])
  const demands = new Map<string, Demand>()
  for (const [place, { raw }] of steps.entries()) {
    const software = findStepType(fieldsOf(raw)['type'])?.requiresSoftware(raw)
    if (software === undefined || names.includes(software.step)) continue
    const demand = demands.get(software.step) ?? { software, places: [] }
    demand.places.push(place)
    demands.set(software.step, demand)
  }
  return steps.flatMap((step, place) => {
    const all = [...demands.values()].filter(({ places }) => places.includes(place))
    const made = all
      .filter(({ places }) => places[0] === place)
      .map((demand) => ({ ...step, raw: softwareStep(demand, steps, names) }))
    return [...made, all.length === 0 ? step : { ...step, raw: needing(fieldsOf(step.raw), all) }]
  })
}

/** It needs what all that require it need themselves: what is further away might lead back to it. */
function softwareStep({ software, places }: Demand, steps: readonly WrittenStep[], names: readonly unknown[]): Fields {
  const [first = [], ...others] = places.map((place): readonly unknown[] => {
    const { needs } = fieldsOf(steps[place]?.raw)
    return Array.isArray(needs) ? needs : names.slice(0, place)
  })
  const [condition, ...conditions] = places.map((place) => fieldsOf(steps[place]?.raw)['if'])
  const same = conditions.every((other) => isDeepStrictEqual(other, condition))
  return {
    name: software.step,
    description: software.description,
    type: 'packages',
    install: software.install,
    needs: first.filter((need) => others.every((needs) => needs.includes(need))),
    ...(same && condition !== undefined ? { if: condition } : {}),
  }
}

function needing(fields: Fields, demands: readonly Demand[]): Fields {
  const { needs } = fields
  if (!Array.isArray(needs)) return fields
  return { ...fields, needs: [...(needs as unknown[]), ...demands.map(({ software }) => software.step)] }
}

function fieldsOf(raw: unknown): Fields {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? (raw as Fields) : {}
}
