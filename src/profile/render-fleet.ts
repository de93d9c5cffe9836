import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { bar, formatShare, styled, terminalStyle, type Cell, type TableStyle } from '../report/table.ts'
import { fitTable, type FitColumn } from './fit-table.ts'
import type {
  FleetSpread,
  FleetStatistics,
  FleetStep,
  GroupDimension,
  Outliers,
  StepRuns,
  StepVersion,
} from './fleet.ts'
import { fewSamples } from './model.ts'
import { counted } from './render.ts'

const titles: Readonly<Record<GroupDimension, string>> = {
  instanceType: 'INSTANCE TYPE',
  region: 'REGION',
  image: 'IMAGE',
  distribution: 'OS',
}
/** Steps below this share of a second are noise when told apart by group. */
const quickSeconds = 0.05

/** The latest changes are shown up to this many. */
const maxChanges = 12

/** What the fleet says beyond its profile: how often it launches, what changed, what rises, what stands out. */
export function renderFleet(fleet: FleetStatistics, style: TableStyle = terminalStyle()): string {
  const blocks = [...changesTable(fleet, style), fleetLines(fleet, style)].filter((block) => block !== '')
  return blocks.length === 0 ? '' : `${blocks.join('\n\n')}\n`
}

/** Launch-to-ready and every step, cold or warm, by what the hosts were. */
export function renderGroups(
  fleet: FleetStatistics,
  dimension: GroupDimension,
  options: { readonly warm?: boolean } = {},
  style: TableStyle = terminalStyle(),
): string {
  const title = titles[dimension]
  const groups = fleet.groups[dimension].map(({ value, failed, launchToReady }) => ({ value, failed, launchToReady }))
  const most = Math.max(0, ...groups.map(({ launchToReady }) => launchToReady?.median ?? 0))
  const ready = fitTable(
    [{ header: title, narrow: 'cut' }, ...spreadColumns, { header: 'FAILED', align: 'right', drop: 3 }],
    groups.map(({ value, failed, launchToReady }) => [
      groupLabel(dimension, value),
      ...spreadCells(launchToReady, most),
      failed === 0 ? '-' : { text: String(failed), style: 'red' },
    ]),
    style,
  )
  const kind = options.warm === true ? 'warm' : 'cold'
  const steps = presentSteps(fleet).filter((step) => (step[kind].wall?.median ?? 0) >= quickSeconds)
  const rows = steps.flatMap((step) => {
    const values = step[kind].by[dimension]
    const longest = Math.max(...values.map(({ median }) => median))
    return values.map((spread, index): Cell[] => [
      index === 0 ? { text: step.name, style: 'bold' } : '',
      groupLabel(dimension, spread.value),
      ...spreadCells(spread, longest),
    ])
  })
  const columns: readonly FitColumn[] = [
    { header: 'STEP', narrow: 'cut' },
    { header: title, narrow: 'cut' },
    ...spreadColumns,
  ]
  const blocks = [`${fleet.recipe}: launch-to-ready of ${fleet.reports.cold} cold boots`, ready]
  if (rows.length > 0) blocks.push(`${kind} runs of steps`, fitTable(columns, rows, style))
  return `${[...blocks, ...legend(fleet)].join('\n\n')}\n`
}

/** Steps as cron measured them again on live hosts, beside the first boots. */
export function renderWarm(fleet: FleetStatistics, style: TableStyle = terminalStyle()): string {
  const { warm, warmFailed } = fleet.reports
  const head = `${fleet.recipe}: ${warm} converges of live hosts (${warmFailed} failed)`
  const steps = fleet.steps.filter((step) => step.warm.count + step.warm.failures > 0)
  if (steps.length === 0) return `${head}\n`
  const rows = steps.map((step): Cell[] => [
    step.current === false ? `${step.name} (old ${step.digest.slice(0, 8)})` : step.name,
    counted(step.warm),
    seconds(step.warm.wall?.median),
    seconds(step.warm.wall?.p95),
    seconds(step.cold.wall?.median),
    ratio(step.warm, step.cold),
    seconds(step.warm.cpu?.median),
    step.warm.rxBytes === undefined ? '-' : formatBytes(step.warm.rxBytes.median),
    step.warm.failures === 0 ? '-' : { text: String(step.warm.failures), style: 'red' },
  ])
  const columns: readonly FitColumn[] = [
    { header: 'STEP', narrow: 'cut' },
    { header: 'WARM', align: 'right' },
    { header: 'MEDIAN', align: 'right' },
    { header: 'P95', align: 'right', drop: 2 },
    { header: 'COLD MEDIAN', align: 'right', drop: 1 },
    { header: 'WARM/COLD', align: 'right', drop: 3 },
    { header: 'CPU', align: 'right', drop: 5 },
    { header: 'RECEIVED', align: 'right', drop: 6 },
    { header: 'FAILED', align: 'right', drop: 4 },
  ]
  return `${[head, fitTable(columns, rows, style), ...legend(fleet)].join('\n\n')}\n`
}

/** The steps of the recipe; where hosts have reported none of them yet, those that they reported last. */
function presentSteps(fleet: FleetStatistics): readonly FleetStep[] {
  const current = fleet.steps.filter((step) => step.current !== false)
  if (current.length > 0) return current
  const last = new Set(fleet.names.map(({ versions }) => versions.at(-1)?.digest))
  return fleet.steps.filter(({ digest }) => last.has(digest))
}

const spreadColumns: readonly FitColumn[] = [
  { header: 'COUNT', align: 'right' },
  { header: 'MEDIAN', align: 'right' },
  { header: 'P95', align: 'right', drop: 1 },
  { header: 'SPREAD', align: 'right', drop: 4 },
  { header: '', drop: 2 },
]

function spreadCells(spread: FleetSpread | undefined, longest: number): Cell[] {
  if (spread === undefined) return ['0', '-', '-', '-', '']
  return [
    counted(spread),
    formatSeconds(spread.median),
    formatSeconds(spread.p95),
    `±${formatSeconds(spread.stddev)}`,
    { text: bar(longest === 0 ? 0 : spread.median / longest, 16), style: 'cyan' },
  ]
}

function changesTable(fleet: FleetStatistics, style: TableStyle): string[] {
  const changes = fleet.names.flatMap(({ name, versions }) =>
    versions.flatMap((version, index) => {
      const before = versions[index - 1]
      return before === undefined ? [] : [{ since: version.firstSeen, row: changeRow(name, before, version) }]
    }),
  )
  const last = changes.toSorted((a, b) => a.since - b.since).slice(-maxChanges)
  const columns: readonly FitColumn[] = [
    { header: 'CHANGED STEP', narrow: 'cut' },
    { header: 'SINCE' },
    { header: 'BEFORE', align: 'right', drop: 1 },
    { header: 'AFTER', align: 'right', drop: 2 },
    { header: 'CHANGE', align: 'right' },
    { header: 'DIGEST', drop: 3 },
  ]
  return last.length === 0
    ? []
    : [
        fitTable(
          columns,
          last.map(({ row }) => row),
          style,
        ),
      ]
}

function changeRow(name: string, before: StepVersion, version: StepVersion): Cell[] {
  const { change } = version
  const few = version.wall?.few === true || before.wall?.few === true
  return [
    name,
    new Date(version.firstSeen * 1000).toISOString().slice(0, 10),
    seconds(before.wall?.median),
    seconds(version.wall?.median),
    change === undefined
      ? '-'
      : {
          text: `${signed(change)}${few ? '*' : ''}`,
          style: few ? 'yellow' : change > 0.1 ? 'red' : change < -0.1 ? 'green' : 'dim',
        },
    version.digest.slice(0, 8),
  ]
}

function fleetLines(fleet: FleetStatistics, style: TableStyle): string {
  const lines: string[] = []
  const { days, perDay, perDayLastWeek } = fleet.launches
  if (days > 1 && perDay !== undefined && perDayLastWeek !== undefined) {
    lines.push(`launches: ${rate(perDay)} a day over ${days} days, ${rate(perDayLastWeek)} in the last week`)
  }
  for (const { name, current, trend } of fleet.steps) {
    if (current === false || trend === undefined || trend.direction === 'steady') continue
    const text = `${name} is ${trend.direction}: ${signed(trend.perWeek)} a week over ${trend.days} days`
    lines.push(styled(clean(text), trend.direction === 'rising' ? 'yellow' : 'green', style.colour))
  }
  const ready = fleet.outliers.launchToReady
  if (ready !== undefined) lines.push(clean(outlierText(['launch', 'launches'], ready)))
  for (const step of fleet.steps) if (step.current !== false) lines.push(...stepOutliers(step))
  return lines.join('\n')
}

function stepOutliers({ name, cold }: FleetStep): string[] {
  return cold.outliers === undefined ? [] : [clean(outlierText([`run of ${name}`, `runs of ${name}`], cold.outliers))]
}

function outlierText([one, many]: readonly [string, string], { count, above, slowest }: Outliers): string {
  const [first] = slowest
  const worst =
    first === undefined ? '' : `, slowest ${formatSeconds(first.seconds)} in run ${first.run} on ${first.host}`
  return `outliers: ${count} ${count === 1 ? one : many} took more than ${formatSeconds(above)}${worst}`
}

function legend(fleet: FleetStatistics): string[] {
  const groups = Object.values(fleet.groups).flatMap((each) =>
    each.map(({ launchToReady }) => launchToReady?.count ?? 0),
  )
  const steps = fleet.steps.flatMap(({ cold, warm }) => [cold.count, warm.count])
  const few = [...groups, ...steps].some((count) => count > 0 && count < fewSamples)
  return few ? [`* fewer than ${fewSamples} samples: take the figure as a hint`] : []
}

function groupLabel(dimension: GroupDimension, value: string): string {
  return dimension === 'image' && value === '' ? 'plain base' : value
}

function ratio(warm: StepRuns, cold: StepRuns): string {
  if (warm.wall === undefined || cold.wall === undefined || cold.wall.median === 0) return '-'
  return (warm.wall.median / cold.wall.median).toFixed(2)
}

function seconds(value: number | undefined): string {
  return value === undefined ? '-' : formatSeconds(value)
}

/** Launches a day: whole ones where there are many. */
function rate(perDay: number): string {
  return perDay < 10 ? perDay.toFixed(1) : String(Math.round(perDay))
}

function signed(change: number): string {
  return `${change < 0 ? '-' : '+'}${formatShare(Math.abs(change))}`
}

/** Hosts chose these words. */
function clean(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ')
}
