import { noChannel } from '../bundle/change-channel.ts'
import { readChannel, type ChannelPlace } from '../bundle/channel-store.ts'
import type { BundleChannel, Rollout } from '../bundle/channel.ts'
import { UserError } from '../errors.ts'
import { convergedBy, heardBy, type Schedule } from '../profile/expected.ts'
import { readDocuments } from '../profile/ingest.ts'
import { latestOfHosts, newest } from '../profile/latest.ts'
import { defaultEveryMinutes } from '../recipe/cron.ts'
import { EvidenceBuilder } from './evidence.ts'
import { judge, nextStage } from './judge.ts'
import { defaultBounds, type Evidence, type RolloutStatus } from './model.ts'
import { readState, startOfRollout, type RolloutState } from './state.ts'

/** How far back other bundles are looked at. */
const lookBackMs = 7 * 86_400_000
/** A host says that it is there after so many seconds at the latest, at its next converge. */
const reportSeconds = 22 * 3600
/** Reports that are read of each host, and of the time before the rollout in all. */
const perHost = 10
const beforeStart = 300

export interface RunningRollout {
  readonly channel: BundleChannel
  readonly rollout: Rollout
  readonly state: RolloutState | undefined
}

/** The rollout that a channel names. Throws a UserError where there is no channel, or it names none. */
export async function readRollout(place: ChannelPlace): Promise<RunningRollout> {
  const channel = (await readChannel(place))?.channel
  if (channel === undefined) throw noChannel(place)
  const { rollout } = channel
  if (rollout === undefined) throw noRollout(channel)
  return { channel, rollout, state: await readState(place, rollout.id) }
}

export function noRollout({ recipe, channel }: Pick<BundleChannel, 'recipe' | 'channel'>): UserError {
  return new UserError(`channel '${channel}' of '${recipe}' names no rollout`, {
    hint: `start one: parbake rollout start FOLDER --percent 10`,
    code: 'no-rollout',
  })
}

/** Judges the rollout of a channel by the reports in the store. Throws a UserError where there is none. */
export async function rolloutStatus(place: ChannelPlace): Promise<RolloutStatus> {
  const running = await readRollout(place)
  const { channel, rollout, state } = running
  const bounds = state?.bounds ?? defaultBounds
  const evidence = await readEvidence(place, running, Date.now())
  return {
    recipe: channel.recipe,
    channel: channel.channel,
    serial: channel.serial,
    bundle: channel.bundle,
    rollout,
    startedAt: new Date(startMs(running)).toISOString(),
    changedAt: new Date(channel.published).toISOString(),
    bounds,
    evidence,
    judgement: judge(evidence, bounds, rollout),
    next: nextStage(rollout.percent),
  }
}

function startMs({ channel, rollout, state }: RunningRollout): number {
  return startOfRollout(rollout.id) ?? Date.parse(state?.log[0]?.at ?? channel.published)
}

async function readEvidence(place: ChannelPlace, running: RunningRollout, nowMs: number): Promise<Evidence> {
  const { store, recipe, signal } = place
  const { channel, rollout, state } = running
  const sinceMs = startMs(running)
  const options = { since: new Date(sinceMs - lookBackMs), perHost, ...(signal === undefined ? {} : { signal }) }
  const hosts = await latestOfHosts(store, recipe, options)
  const all = [...hosts.values()].flatMap(({ objects }) => objects)
  const before = newest(
    all.filter(({ modifiedMs }) => modifiedMs < sinceMs),
    beforeStart,
  )
  const builder = new EvidenceBuilder(rollout, sinceMs)
  const wanted = [...before, ...all.filter(({ modifiedMs }) => modifiedMs >= sinceMs)]
  for await (const { info, document } of readDocuments(store, recipe, wanted, signal)) {
    if (document !== undefined && !('reason' in document)) builder.add(document, info.modifiedMs)
  }
  const changedMs = Date.parse(channel.published)
  const schedules = schedulesOf(state, builder.zones)
  if (schedules.some((schedule) => nowMs < convergedBy(schedule, changedMs))) return builder.build()
  // A host that was late already when the channel changed had ended before.
  const seen = [...hosts.values()].filter(({ lastMs }) =>
    schedules.some((schedule) => heardBy({ ...schedule, reportSeconds }, lastMs) >= changedMs),
  )
  return builder.build({ seen, changedMs, nowMs })
}

/** The schedule of the hosts in each of their time zones. */
function schedulesOf(state: RolloutState | undefined, zones: ReadonlySet<string>): Schedule[] {
  const everyMinutes = state?.everyMinutes ?? defaultEveryMinutes
  const calendar = state?.schedule ?? { cron: '', splaySeconds: 0 }
  return [...(zones.size === 0 ? ['+0000'] : zones)].map((zone) => ({ everyMinutes, ...calendar, zone }))
}
