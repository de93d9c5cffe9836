import { UserError } from '../errors.ts'
import type { Recipe, RecipeSchedule, Step, When } from '../recipe/model.ts'
import { namePattern } from '../util/name.ts'
import { isSha256, type Sha256 } from '../util/sha256.ts'

/** One `step` line of a bundle's index: what the agent decides by. */
export interface IndexStep {
  /** Name of the folder below `steps/`: two digits or more, from 01, in execution order. */
  readonly id: string
  readonly name: string
  readonly digest: Sha256
  readonly when: When
  readonly timeoutSeconds: number
  readonly retries: number
  readonly needs: readonly string[]
  readonly flags: readonly StepFlag[]
}

/** `packages`: uses the package manager, so only one of these runs at a time. `reboot`: the host reboots after it. */
export type StepFlag = 'packages' | 'reboot'

/** The `index` file of a bundle, version 1. */
export interface BundleIndex {
  readonly recipe: string
  readonly everyMinutes: number
  /** When hosts converge by the calendar; absent: every `everyMinutes`. */
  readonly schedule?: RecipeSchedule
  /** As many steps may run at a time; absent: as many as there are processors, at most 4. */
  readonly parallel?: number
  readonly steps: readonly IndexStep[]
}

/** The folder name of the step at this place (from 0) in execution order. */
export function stepId(position: number): string {
  return String(position + 1).padStart(2, '0')
}

/** The index of a recipe's bundle: lines that sh reads without any tool. */
export function renderIndex(recipe: Pick<Recipe, 'name' | 'everyMinutes' | 'schedule' | 'parallel' | 'steps'>): string {
  const steps = recipe.steps.map((step, position) =>
    [
      'step',
      stepId(position),
      step.name,
      step.digest,
      step.when,
      step.timeoutSeconds,
      step.retries,
      step.needs.length === 0 ? '-' : step.needs.join(','),
      flagsOf(step).join(',') || '-',
    ].join(' '),
  )
  const head = ['parbake-bundle 1', `recipe ${recipe.name}`, `every ${recipe.everyMinutes}`]
  if (recipe.schedule !== undefined) {
    const { cron, onCalendar, splaySeconds } = recipe.schedule
    head.push(`schedule ${cron}`, ...onCalendar.map((each) => `calendar ${each}`), `splay ${splaySeconds}`)
  }
  if (recipe.parallel !== undefined) head.push(`parallel ${recipe.parallel}`)
  return `${[...head, ...steps].join('\n')}\n`
}

function flagsOf(step: Pick<Step, 'packages' | 'reboot'>): StepFlag[] {
  return [
    ...(step.packages === true ? ['packages' as const] : []),
    ...(step.reboot === true ? ['reboot' as const] : []),
  ]
}

const whens: readonly string[] = ['change', 'instance', 'boot', 'always'] satisfies When[]

/** Reads an index. Throws UserError where it is damaged or of a version this parbake does not know. */
export function parseIndex(text: string): BundleIndex {
  const lines = text.split('\n')
  const fail = (number: number, why: string): never => {
    throw new UserError(`the bundle's index is damaged in line ${number}: ${why}`, { code: 'bundle-damaged' })
  }
  if (lines.pop() !== '') fail(lines.length + 1, 'the last line has no end')
  const [header, recipeLine = '', everyLine = '', ...rest] = lines
  if (header !== 'parbake-bundle 1') {
    throw new UserError(`the bundle's index begins with '${header ?? ''}', not with 'parbake-bundle 1'`, {
      hint: 'it was made by another version of parbake',
      code: 'bundle-version',
    })
  }
  const recipe = /^recipe (\S+)$/.exec(recipeLine)?.[1] ?? ''
  if (!namePattern.test(recipe)) fail(2, 'not a recipe line')
  const everyMinutes = Number(/^every (\d{1,4})$/.exec(everyLine)?.[1] ?? 0)
  if (everyMinutes < 1 || everyMinutes > 1440) fail(3, 'not an every line')
  const options = new Map<string, string[]>()
  const firstStep = rest.findIndex(
    (line) => !/^(schedule [\d*,]+( [\d*,]+){4}|calendar [\w*,: -]+|splay \d{1,5}|parallel [1-9]\d?)$/.test(line),
  )
  const stepLines = firstStep === -1 ? [] : rest.slice(firstStep)
  for (const line of rest.slice(0, rest.length - stepLines.length)) {
    const [name = ''] = line.split(' ', 1)
    options.set(name, [...(options.get(name) ?? []), line.slice(name.length + 1)])
  }
  const steps: IndexStep[] = []
  for (const [position, line] of stepLines.entries()) {
    const step = parseStep(line)
    const number = position + lines.length - stepLines.length + 1
    if (step === undefined) return fail(number, 'not a step line')
    if (step.id !== stepId(position)) fail(number, `step ${step.id} stands where ${stepId(position)} belongs`)
    if (steps.some((other) => other.name === step.name)) fail(number, `a second step '${step.name}'`)
    const unknown = step.needs.find((need) => !steps.some((other) => other.name === need))
    if (unknown !== undefined) fail(number, `needs '${unknown}', which is not before it`)
    steps.push(step)
  }
  return { recipe, everyMinutes, ...optionsOf(options), steps }
}

/** What the lines between head and steps say. */
function optionsOf(lines: ReadonlyMap<string, readonly string[]>): Pick<BundleIndex, 'schedule' | 'parallel'> {
  const [cron] = lines.get('schedule') ?? []
  const [parallel] = lines.get('parallel') ?? []
  const splaySeconds = Number(lines.get('splay')?.[0] ?? 0)
  return {
    ...(cron === undefined ? {} : { schedule: { cron, onCalendar: lines.get('calendar') ?? [], splaySeconds } }),
    ...(parallel === undefined ? {} : { parallel: Number(parallel) }),
  }
}

function parseStep(line: string): IndexStep | undefined {
  const match = /^step (\d{2,}) (\S+) (\S+) (\S+) (\d{1,5}) (\d{1,2}) (\S+)(?: (-|[a-z]+(?:,[a-z]+)*))?$/.exec(line)
  if (match === null) return undefined
  const [, id = '', name = '', digest = '', when = '', timeout, retries, needs = '', flags = '-'] = match
  if (!namePattern.test(name) || !isSha256(digest) || !isWhen(when)) return undefined
  return {
    id,
    name,
    digest,
    when,
    timeoutSeconds: Number(timeout),
    retries: Number(retries),
    needs: needs === '-' ? [] : needs.split(','),
    flags: flags.split(',').filter(isFlag),
  }
}

function isFlag(text: string): text is StepFlag {
  return text === 'packages' || text === 'reboot'
}

function isWhen(text: string): text is When {
  return whens.includes(text)
}
