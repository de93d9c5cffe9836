import { formatBytes, formatSeconds } from '../report/reporters.ts'
import type { LaunchRecord } from './launches.ts'
import type { BootRecord, Report, StepReport } from './report.ts'

/** A piece of the way from power-on to ready. Times are seconds since power-on. */
export interface WaterfallSpan {
  /** For people: a unit, a module of cloud-init, a phase of the agent, a step; of a gap, what came after it. */
  readonly name: string
  readonly category: 'firmware' | 'kernel' | 'initrd' | 'systemd' | 'cloud-init' | 'agent' | 'step' | 'gap'
  readonly start: number
  readonly end: number
  readonly detail?: string
}

/** One boot from power-on to ready. The spans are in order, do not overlap and leave nothing out. */
export interface Waterfall {
  readonly run: string
  readonly host: string
  readonly image: string
  /** Unix seconds of power-on. */
  readonly startedAt: number
  /** Seconds; from the start of the kernel where nobody has seen what was before it. */
  readonly launchToReady: number
  readonly spans: readonly WaterfallSpan[]
}

/** What a report or a launch record says about a stretch of time. Where several do, the highest rank is right. */
interface Piece extends WaterfallSpan {
  readonly rank: number
}

/** The closer to what the host was really waiting for, the higher. */
const ranks = { machine: 0, unit: 1, wait: 2, stage: 3, module: 4, agent: 5, phase: 6, step: 7 } as const

/** Their stages and modules lie over them; what is left of them is before and after the log. */
const cloudInitUnit = /^cloud-(init(-local|-network|-main)?|config|final)\.service$/

/** Shorter than what the clocks of a guest tell apart. */
const shortestSeconds = 0.005

/**
 * The waterfall of a boot: everything that the report tells about it, laid over each other so that each moment belongs to what
 * the host was waiting for, and the rest named as gaps. What was before the kernel comes from the launch record, else from
 * EFI, else it is left out. Where the host's clock and the guest's disagree, that is a gap at the end.
 */
export function waterfallOf(report: Report, record?: LaunchRecord): Waterfall {
  // A guest that was ready before its host says so is of no use: one of the clocks is wrong.
  const launch = record === undefined || record.launchSeconds < report.readyUptime ? undefined : record
  const before = beforeKernel(report, launch)
  const pieces = [...machinePieces(report.boot), ...bootPieces(report.boot), ...agentPieces(report), ...steps(report)]
  const guest = cover(pieces, report.readyUptime).map((span) => shift(span, before.seconds))
  const launchToReady = launch === undefined ? before.seconds + report.readyUptime : launch.launchSeconds
  const ready = before.seconds + report.readyUptime
  const late: readonly WaterfallSpan[] =
    launchToReady - ready < shortestSeconds
      ? []
      : [{ name: 'until the console said so', category: 'gap', start: ready, end: launchToReady }]
  const spans = [...before.spans, ...guest, ...late]
  const last = spans.at(-1)
  return {
    run: report.run,
    host: report.host,
    image: report.image,
    startedAt: report.startedAt - report.startUptime - before.seconds,
    launchToReady,
    // What is left is rounding.
    spans: last === undefined ? [] : [...spans.slice(0, -1), { ...last, end: launchToReady }],
  }
}

/** Firmware and boot loader. The guest sees them under EFI only; whoever started it has seen them from outside. */
function beforeKernel(report: Report, launch: LaunchRecord | undefined): { seconds: number; spans: WaterfallSpan[] } {
  const { firmwareSeconds = 0, loaderSeconds = 0 } = report.boot ?? {}
  const outside = launch === undefined ? undefined : launch.launchSeconds - report.readyUptime
  const seconds =
    outside === undefined ? firmwareSeconds + loaderSeconds : Math.min(launch?.firmwareSeconds ?? outside, outside)
  const loader = Math.min(loaderSeconds, seconds)
  const all: WaterfallSpan[] = [
    {
      name: loader > 0 ? 'firmware' : 'firmware and boot loader',
      category: 'firmware',
      start: 0,
      end: seconds - loader,
    },
    { name: 'boot loader', category: 'firmware', start: seconds - loader, end: seconds },
  ]
  return { seconds, spans: all.filter((span) => span.end - span.start >= shortestSeconds) }
}

function machinePieces(boot: BootRecord | undefined): Piece[] {
  if (boot === undefined) return []
  const { kernelSeconds, initrdSeconds } = boot
  const rank = ranks.machine
  return [
    { name: 'kernel', category: 'kernel', start: 0, end: kernelSeconds, rank },
    { name: 'initrd', category: 'initrd', start: kernelSeconds, end: kernelSeconds + initrdSeconds, rank },
  ]
}

function bootPieces(boot: BootRecord | undefined): Piece[] {
  if (boot === undefined) return []
  const units = boot.units.map((unit): Piece => {
    const detail = cloudInitUnit.test(unit.name) ? { detail: 'what it does not log, mostly the start of Python' } : {}
    return { ...unit, category: 'systemd', rank: ranks.unit, ...detail }
  })
  const cloudInit = boot.cloudInit.map(({ name, start, end, result }): Piece => {
    const rank = name.includes('/') ? ranks.module : ranks.stage
    const detail = result === 'SUCCESS' || result === 'running' ? {} : { detail: result }
    return { name, category: 'cloud-init', start, end, rank, ...detail }
  })
  return [...units, ...cloudInit]
}

/** While the agent waits for cloud-init, what cloud-init does is the answer. */
function agentPieces({ phases = [], startUptime, readyUptime }: Report): Piece[] {
  const waits = phases.filter((phase) => phase.name === 'wait')
  const waitStart = waits[0]?.start ?? readyUptime
  const waitEnd = waits.reduce((end, phase) => Math.max(end, phase.start + phase.wall), waitStart)
  const category = 'agent'
  return [
    { name: 'agent', category, start: startUptime, end: waitStart, rank: ranks.agent },
    { name: 'agent', category, start: waitEnd, end: readyUptime, rank: ranks.agent },
    ...phases.map(({ name, start, wall }): Piece => {
      const rank = name === 'wait' ? ranks.wait : ranks.phase
      return { name: `agent: ${name}`, category, start, end: start + wall, rank }
    }),
  ]
}

function steps(report: Report): Piece[] {
  return report.steps
    .filter((step) => step.attempts > 0)
    .map((step) => ({
      name: step.name,
      category: 'step',
      start: step.startUptime,
      end: step.startUptime + step.wall,
      detail: whySlow(step),
      rank: ranks.step,
    }))
}

/** Where a step's wall time went, in words. */
export function whySlow(step: StepReport): string {
  const { cpu, wall, rxBytes, diskBytes, lockSeconds = 0, retrySeconds = 0 } = step
  return [
    `cpu ${formatSeconds(cpu)}`,
    ...(rxBytes > 0
      ? [`received ${formatBytes(rxBytes)}${wall > 0 ? ` (${formatBytes(rxBytes / wall)}/s)` : ''}`]
      : []),
    ...(diskBytes > 0 ? [`disk ${formatBytes(diskBytes)}`] : []),
    ...(lockSeconds > 0 ? [`waited ${formatSeconds(lockSeconds)} for a lock`] : []),
    ...(retrySeconds > 0 ? [`retries ${formatSeconds(retrySeconds)}`] : []),
    ...(step.outcome === 'failed' ? ['failed'] : []),
  ].join(', ')
}

/** Cuts pieces that lie over each other into spans that cover 0 to `end`, gaps included. */
function cover(pieces: readonly Piece[], end: number): WaterfallSpan[] {
  const begun = pieces.filter((piece) => piece.start < end)
  const clipped = begun.map((piece) => ({ ...piece, start: clip(piece.start, end), end: clip(piece.end, end) }))
  const solid = clipped.filter((piece) => piece.end > piece.start)
  const points = new Set(clipped.filter(isPoint).map((piece) => piece.start))
  const cuts = [...new Set([0, end, ...solid.flatMap((piece) => [piece.start, piece.end]), ...points])].toSorted(
    (a, b) => a - b,
  )
  const spans: { piece: Piece | undefined; start: number; end: number }[] = []
  for (const [index, start] of cuts.slice(0, -1).entries()) {
    const stop = cuts[index + 1] ?? end
    const piece = topmost(solid, start, stop)
    const last = spans.at(-1)
    // A gap ends where something was up that takes no time itself.
    const same = last?.piece === piece && !(piece === undefined && points.has(start))
    if (last !== undefined && (same || stop - start < shortestSeconds)) last.end = stop
    else spans.push({ piece, start, end: stop })
  }
  return spans.map((span, index) =>
    span.piece === undefined
      ? { name: gapName(clipped, span.end, spans[index + 1]?.piece), category: 'gap', start: span.start, end: span.end }
      : asSpan(span.piece, span.start, span.end),
  )
}

/** Of what covers a stretch, the one with the highest rank; among equals the one that began last, for it is inside. */
function topmost(pieces: readonly Piece[], start: number, end: number): Piece | undefined {
  let best: Piece | undefined
  for (const piece of pieces) {
    if (piece.start > start || piece.end < end) continue
    if (best === undefined || piece.rank > best.rank || (piece.rank === best.rank && piece.start >= best.start)) {
      best = piece
    }
  }
  return best
}

/** Devices and targets take no time themselves, but they are what the boot was waiting for. */
function isPoint(piece: Piece): boolean {
  return piece.category === 'systemd' && piece.end === piece.start
}

function gapName(pieces: readonly Piece[], end: number, next: Piece | undefined): string {
  const awaited = pieces.findLast((piece) => isPoint(piece) && Math.abs(piece.end - end) < shortestSeconds)
  if (awaited !== undefined) return `waiting for ${awaited.name}`
  return next === undefined ? 'before ready' : `before ${next.name}`
}

function asSpan({ name, category, detail }: Piece, start: number, end: number): WaterfallSpan {
  return { name, category, start, end, ...(detail === undefined ? {} : { detail }) }
}

function shift(span: WaterfallSpan, seconds: number): WaterfallSpan {
  return { ...span, start: span.start + seconds, end: span.end + seconds }
}

function clip(value: number, end: number): number {
  return Math.min(Math.max(value, 0), end)
}
