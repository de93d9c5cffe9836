import { loadAgent } from '../bundle/agent.ts'
import { changeChannel, isLive, noChannel, type ChannelDraft, type CurrentChannel } from '../bundle/change-channel.ts'
import { readChannel } from '../bundle/channel-store.ts'
import { isChannelWord, maxRolloutTags } from '../bundle/channel-grammar.ts'
import type { BundleChannel, Rollout } from '../bundle/channel.ts'
import { packBundle } from '../bundle/pack.ts'
import { sendObjects } from '../bundle/publish.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { Recipe } from '../recipe/model.ts'
import type { Bounds, RolloutStatus } from './model.ts'
import { withWritablePlace, type ChangeChoice, type WritablePlace } from './place.ts'
import { logAction, newRolloutId, writeState, type RolloutAction } from './state.ts'
import { noRollout, readRollout, rolloutStatus } from './status.ts'

/** What a change of a rollout did; with `dryRun` what it would do. */
export interface RolloutChange {
  readonly recipe: string
  readonly channel: string
  readonly serial: number
  readonly action: RolloutAction['action']
  /** The bundle of hosts that take no part. */
  readonly bundle: string
  /** Undefined where none is left. */
  readonly rollout: Rollout | undefined
  readonly dryRun: boolean
}

export interface StartOptions extends Omit<ChangeChoice, 'recipe'> {
  readonly percent: number
  readonly tags: readonly string[]
  readonly bounds: Bounds
  /** Let all hosts have this parbake's agent too. */
  readonly withAgent?: boolean
}

/**
 * Uploads a recipe's bundle and names it in the channel as a rollout; the bundle of all other hosts stays. Throws a UserError
 * where nothing was published yet, another rollout is under way, or all hosts have this very bundle.
 */
export async function startRollout(recipe: Recipe, ctx: Context, options: StartOptions): Promise<RolloutChange> {
  checkPercent(options.percent)
  checkTags(options.tags)
  const bundle = await packBundle(recipe)
  const agent = loadAgent()
  return withWritablePlace(ctx, { ...options, recipe: recipe.name }, async (writable) => {
    const { place } = writable
    const rollout: Rollout = {
      bundle: bundle.sha256,
      bundleBytes: bundle.bytes.length,
      percent: options.percent,
      id: newRolloutId(Date.now()),
      tags: options.tags,
    }
    const draft = (current: CurrentChannel): ChannelDraft => {
      if (current === undefined) throw noChannel(place)
      refuseStart(current, rollout)
      return { ...current, rollout, ...(options.withAgent === true ? { agent: agent.sha256 } : {}) }
    }
    // What cannot start stops us before anything is sent.
    const current = (await readChannel(place))?.channel
    draft(current)
    if (options.withAgent !== true && current?.agent !== agent.sha256) warnOfAgent(ctx)
    if (options.dryRun !== true) {
      await sendObjects(ctx, place.store, recipe.name, bundle, agent, false)
      const { bounds, tags } = options
      const { everyMinutes, schedule } = recipe
      const calendar = schedule && { schedule: { cron: schedule.cron, splaySeconds: schedule.splaySeconds } }
      const state = { everyMinutes, ...calendar, bounds: { ...bounds }, tags: [...tags], log: [] }
      await writeState(place, { v: 1, id: rollout.id, bundle: rollout.bundle, ...state })
    }
    return apply(ctx, writable, { action: 'start', by: 'person', why: '', dryRun: options.dryRun === true }, draft)
  })
}

export interface AdvanceOptions extends ChangeChoice {
  /** The next stage by default; at 100 the bundle becomes that of the channel. */
  readonly percent?: number
  /** Go on although the judgement is not good. */
  readonly force?: boolean
}

/** Raises the share of hosts. Throws a UserError while the judgement is not good, unless `force`, which says what it overrides. */
export async function advanceRollout(ctx: Context, options: AdvanceOptions): Promise<RolloutChange> {
  if (options.percent !== undefined) checkPercent(options.percent)
  return withWritablePlace(ctx, options, async (writable) => {
    const status = await rolloutStatus(writable.place)
    const percent = options.percent ?? status.next ?? 100
    const { verdict, reasons } = status.judgement
    if (verdict !== 'go') {
      if (options.force !== true) throw notReady(status)
      ctx.reporter.emit({ type: 'warning', text: `overriding '${verdict}': ${reasons.join('; ')}` })
    }
    const why = verdict === 'go' ? reasons.join('; ') : `forced although ${reasons.join('; ')}`
    return raise(ctx, writable, status.rollout, percent, { by: 'person', why, dryRun: options.dryRun === true })
  })
}

/** Gives a judged rollout to this share of hosts. Throws a UserError where it is no higher, or the rollout has changed. */
export async function raise(
  ctx: Context,
  writable: WritablePlace,
  judged: Rollout,
  percent: number,
  how: Pick<ChangeKind, 'by' | 'why' | 'dryRun'>,
): Promise<RolloutChange> {
  return apply(ctx, writable, { action: percent === 100 ? 'finish' : 'advance', ...how }, (current) => {
    const { rollout, ...channel } = sameRollout(current, judged)
    if (percent <= rollout.percent) {
      throw new UserError(`the rollout is at ${rollout.percent} percent already`, {
        hint: `'parbake rollout halt' takes it back from all hosts, 'parbake rollout undo' ends it`,
        exitCode: 2,
      })
    }
    if (percent < 100) return { ...channel, rollout: { ...rollout, percent } }
    return { ...channel, bundle: rollout.bundle, bundleBytes: rollout.bundleBytes }
  })
}

/** Takes a rollout back from all hosts, tagged ones too, and leaves it in the channel to be seen. */
export async function haltRollout(ctx: Context, options: ChangeChoice, why = ''): Promise<RolloutChange> {
  return withWritablePlace(ctx, options, async (writable) => {
    const { rollout } = await readRollout(writable.place)
    return halt(ctx, writable, rollout, { by: 'person', why, dryRun: options.dryRun === true })
  })
}

export async function halt(
  ctx: Context,
  writable: WritablePlace,
  judged: Rollout,
  how: Pick<ChangeKind, 'by' | 'why' | 'dryRun'>,
): Promise<RolloutChange> {
  return apply(ctx, writable, { action: 'halt', ...how }, (current) => {
    const { rollout, ...channel } = sameRollout(current, judged)
    return isLive(rollout) ? { ...channel, rollout: { ...rollout, percent: 0, tags: [] } } : undefined
  })
}

/** Ends a rollout: hosts that took it go back to the channel's bundle. */
export async function undoRollout(ctx: Context, options: ChangeChoice): Promise<RolloutChange> {
  return withWritablePlace(ctx, options, async (writable) => {
    const { rollout } = await readRollout(writable.place)
    const kind = { action: 'undo', by: 'person', why: '', dryRun: options.dryRun === true } as const
    return apply(ctx, writable, kind, (current) => {
      const { rollout: _, ...channel } = sameRollout(current, rollout)
      return channel
    })
  })
}

interface ChangeKind {
  readonly action: RolloutAction['action']
  readonly by: RolloutAction['by']
  readonly why: string
  readonly dryRun: boolean
}

type Draft = (current: CurrentChannel) => ChannelDraft | undefined

async function apply(ctx: Context, writable: WritablePlace, kind: ChangeKind, draft: Draft): Promise<RolloutChange> {
  const { place, signers } = writable
  const { channel, before, unchanged } = await changeChannel({
    place,
    expiryDays: ctx.config.channelExpiryDays,
    dryRun: kind.dryRun,
    signerFor: signers.choose,
    draft,
  })
  const rollout = channel.rollout ?? before?.rollout
  if (!kind.dryRun && !unchanged && rollout !== undefined) {
    const { action, by, why } = kind
    const percent = action === 'finish' ? 100 : (channel.rollout?.percent ?? 0)
    const entry = { at: new Date().toISOString(), action, percent, serial: channel.serial, by, why }
    await logAction(place, { id: rollout.id, bundle: rollout.bundle }, entry)
  }
  return {
    recipe: channel.recipe,
    channel: channel.channel,
    serial: channel.serial,
    action: kind.action,
    bundle: channel.bundle,
    rollout: channel.rollout,
    dryRun: kind.dryRun,
  }
}

/** The channel as long as it names the rollout that was looked at. */
function sameRollout(current: CurrentChannel, judged: Rollout): BundleChannel & { readonly rollout: Rollout } {
  const rollout = current?.rollout
  if (current !== undefined && rollout?.id === judged.id) return { ...current, rollout }
  if (current !== undefined && rollout === undefined) throw noRollout(current)
  throw new UserError('the channel names another rollout than the one that was looked at', {
    hint: 'somebody else steers it too: look again',
    code: 'rollout-changed',
  })
}

function refuseStart(current: BundleChannel, rollout: Rollout): void {
  if (current.bundle === rollout.bundle) {
    throw new UserError(`all hosts of channel '${current.channel}' have this very bundle`, {
      hint: 'change the recipe first',
      code: 'rollout-nothing-new',
    })
  }
  if (current.rollout !== undefined && isLive(current.rollout)) {
    throw new UserError(`a rollout of '${current.recipe}' is under way, at ${current.rollout.percent} percent`, {
      hint: `end it first: 'parbake rollout advance --to 100' or 'parbake rollout undo ${current.recipe}'`,
      code: 'rollout-active',
    })
  }
}

function notReady({ recipe, rollout, judgement: { verdict, reasons } }: RolloutStatus): UserError {
  const means = { halt: 'should be halted', wait: 'is not ready to go on', halted: 'was halted', go: '' }[verdict]
  return new UserError(`the rollout of '${recipe}' at ${rollout.percent} percent ${means}: ${reasons.join('; ')}`, {
    hint:
      verdict === 'wait'
        ? 'wait for more reports, or add --force'
        : `look at it with 'parbake rollout status ${recipe}'`,
    code: 'rollout-not-ready',
  })
}

function warnOfAgent(ctx: Context): void {
  ctx.reporter.emit({
    type: 'warning',
    text: `the channel's agent is not the one of this version of parbake, which made the bundle`,
    hint: 'with --with-agent all hosts get this one',
  })
}

function checkPercent(percent: number): void {
  if (Number.isInteger(percent) && percent >= 0 && percent <= 100) return
  throw new UserError(`a rollout cannot have ${percent} percent of hosts`, {
    hint: 'use a whole number from 0 to 100',
    exitCode: 2,
  })
}

function checkTags(tags: readonly string[]): void {
  const wrong = tags.find((tag) => !isChannelWord(tag))
  if (wrong === undefined && tags.length <= maxRolloutTags) return
  throw new UserError(wrong === undefined ? `${tags.length} tags are too many` : `'${wrong}' is no tag`, {
    hint: `use at most ${maxRolloutTags} of lower-case letters, digits and . _ -, a letter or digit first`,
    exitCode: 2,
  })
}
