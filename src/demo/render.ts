import { growthText } from '../bake/size.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import { renderTable, terminalStyle, type Cell, type Column, type TableStyle } from '../report/table.ts'
import type { DemoResult } from './demo.ts'

const columns: readonly Column[] = [
  { header: 'STEP', narrow: 'cut' },
  { header: 'AT RUNTIME', align: 'right' },
  { header: 'WITH IMAGE', align: 'right' },
  { header: 'DECISION' },
  { header: 'WHY', narrow: 'wrap' },
]

/** The demo's closing table; every figure was measured in this run. */
export function renderDemo(result: DemoResult, style: TableStyle = terminalStyle()): string {
  const { base, plan, image, before, after } = result
  const { manifest } = image
  const ratio = before.launchSeconds / after.launchSeconds
  const rows = plan.steps.map((step): Cell[] => {
    const ran = before.report.steps.find((each) => each.digest === step.digest)
    const again = after.report.steps.find((each) => each.digest === step.digest)
    const baked = step.decision === 'bake'
    return [
      step.name,
      ran === undefined || ran.attempts === 0 ? '-' : formatSeconds(ran.wall),
      again === undefined || again.attempts === 0 ? '-' : formatSeconds(again.wall),
      baked ? { text: 'baked', style: 'green' } : { text: 'runtime', style: 'dim' },
      step.explanation,
    ]
  })
  return [
    renderTable(columns, rows, style),
    '',
    `launch-to-ready from the base:   ${formatSeconds(before.launchSeconds)}`,
    `launch-to-ready from the image:  ${formatSeconds(after.launchSeconds)}  (${ratio.toFixed(1)} times faster)`,
    `image:                           ${formatBytes(manifest.sizeBytes)}, ${growthText(manifest.addedBytes)} its base ${base.name}${image.reused ? '; reused, because base and steps are the same' : ''}`,
    `accelerator:                     ${after.accelerator === 'tcg' ? 'tcg (emulation: with KVM launches are about ten times faster)' : after.accelerator}`,
    '',
    'What to do next:',
    '  npx parbake plan recipes/web                     # why each step is baked or left',
    '  npx parbake launch recipes/web --image latest --forward 8080:80 --keep',
    '  curl http://127.0.0.1:8080/                      # in another terminal',
    '  npx parbake user-data recipes/web --target aws   # what your own hosts would boot with',
    '',
  ].join('\n')
}

/** The same as data. */
export function demoJson({ recipe, base, plan, image, before, after }: DemoResult): unknown {
  return {
    recipe: recipe.name,
    base: { name: base.name, digest: base.digest, sizeBytes: base.sizeBytes },
    plan,
    image: { reused: image.reused, serial: image.serial, ...image.manifest },
    before,
    after,
  }
}
