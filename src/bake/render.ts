import { formatBytes, formatSeconds } from '../report/reporters.ts'
import type { BakeResult } from './bake.ts'

/** The outcome of a bake as text. */
export function renderBake({ manifest, reused, serial }: BakeResult): string {
  const { verification } = manifest
  const steps = manifest.steps.map((step) => `${step.name} (${formatSeconds(step.seconds)})`).join(', ')
  return [
    `image ${manifest.imageId}${reused ? ' is current: same base, same steps' : ''}`,
    `  baked:    ${steps}`,
    `  size:     ${formatBytes(manifest.sizeBytes)}, ${formatBytes(manifest.addedBytes)} more than the base`,
    `  verified: ready after ${formatSeconds(verification.launchSeconds)}; ${verification.checks.length} checks passed`,
    `  channel:  ${manifest.channel ?? '-'}, serial ${serial}`,
    '',
  ].join('\n')
}
