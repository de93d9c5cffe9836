import { isDeepStrictEqual } from 'node:util'
import type { HostClient } from '../config.ts'
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

/** The step that puts the hosts' client into images. */
const clientStep = 'store-client'

const clientPackages: Readonly<Record<HostClient, { readonly command: string; readonly names: unknown }>> = {
  awscli: { command: 'aws', names: { apt: 'awscli', dnf: 'awscli2', other: 'aws-cli' } },
  rclone: { command: 'rclone', names: 'rclone' },
  s3cmd: { command: 's3cmd', names: 's3cmd' },
}

/**
 * The steps with one behind them that has images hold the client that hosts fetch with. On a host without such an image it
 * finds the client there. Nothing needs it, so no digest of the others says which client it is.
 */
export function withClient<Written extends WrittenStep>(
  steps: readonly Written[],
  client: HostClient | undefined,
): readonly Written[] {
  const last = steps.at(-1)
  if (client === undefined || last === undefined) return steps
  if (steps.some(({ raw }) => fieldsOf(raw)['name'] === clientStep)) return steps
  const { command, names } = clientPackages[client]
  const raw = {
    name: clientStep,
    description: `${client}, which this recipe's hosts fetch with`,
    type: 'packages',
    install: [names],
    unless: command,
    needs: [],
    bake: 'always',
  }
  return [...steps, { ...last, raw }]
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
