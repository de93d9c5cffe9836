import { formatBytes, formatSeconds } from '../report/reporters.ts'
import type { BakeResult } from './bake.ts'
import { growthText, sizeByStep } from './size.ts'

/** The outcome of a bake as text. */
export function renderBake({ manifest, reused, serial, output, engine }: BakeResult): string {
  const { verification, format } = manifest
  const steps = manifest.steps.map(
    (step) => `${step.name} (${step.cached === true ? 'cached, ' : ''}${formatSeconds(step.seconds)})`,
  )
  const space = sizeByStep(manifest.steps.map(({ name, diskBytes }) => ({ name, diskBytes: diskBytes ?? 0 })))
  const growth =
    format.backing === undefined
      ? `${growthText(manifest.addedBytes)} the base`
      : `thin: on top of the base ${manifest.base.name}`
  return [
    `image ${manifest.imageId}${reused ? ' is current: same base, same steps' : ''}`,
    ...(engine === undefined ? [] : [`  engine:   ${engine}`]),
    `  baked:    ${steps.join(', ')}`,
    ...((manifest.tunings ?? []).length === 0 ? [] : [`  tuned:    ${(manifest.tunings ?? []).join(', ')}`]),
    `  size:     ${formatBytes(manifest.sizeBytes)}, ${growth}`,
    ...(space === '' ? [] : [`  space:    ${space} (on the disk, uncompressed)`]),
    ...(verification === undefined
      ? ['  verified: no (--no-verify)']
      : [
          `  verified: ready after ${formatSeconds(verification.launchSeconds)}${manyLaunches(verification.launches)}; ${verification.checks.length} checks passed`,
        ]),
    ...(output === undefined
      ? [`  channel:  ${manifest.channel ?? '-'}, serial ${serial ?? 0}`]
      : [`  file:     ${output}`]),
    '',
  ].join('\n')
}

function manyLaunches(launches: readonly { readonly launchSeconds: number }[] = []): string {
  if (launches.length < 2) return ''
  const seconds = launches.map((each) => each.launchSeconds).toSorted((a, b) => a - b)
  return ` (median of ${seconds.length} launches, ${formatSeconds(seconds[0] ?? 0)} to ${formatSeconds(seconds.at(-1) ?? 0)})`
}
