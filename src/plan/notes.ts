import type { Profile } from '../profile/model.ts'
import { formatBytes, formatSeconds } from '../report/reporters.ts'
import type { Choice } from './choose.ts'
import type { PlannedStep, PlanSettings, Prediction } from './model.ts'

interface NotesInput {
  readonly profile: Profile
  readonly steps: readonly PlannedStep[]
  readonly settings: PlanSettings
  readonly prediction: Prediction | undefined
  readonly shortfall: Choice['shortfall']
}

/** What the user should know about a plan's figures, most important first. */
export function notesOf({ profile, steps, settings, prediction, shortfall }: NotesInput): readonly string[] {
  const notes: string[] = []
  if (shortfall !== undefined) notes.push(shortfallNote(shortfall, settings, prediction))
  if (settings.objective === 'target' && prediction === undefined) {
    notes.push('the target cannot be held against anything yet, so the plan is the fastest')
  }
  notes.push(...predictionNotes(profile, prediction))
  const baked = steps.filter((step) => step.decision === 'bake')
  const unmeasured = baked.filter((step) => step.medianSeconds === undefined)
  if (unmeasured.length > 0) {
    notes.push(`the prediction leaves out what was not measured: ${unmeasured.map((step) => step.name).join(', ')}`)
  }
  if (profile.reports.failed > 0) {
    notes.push(`${profile.reports.failed} of ${profile.reports.cold} cold boots failed; they count only step by step`)
  }
  return notes
}

function shortfallNote(
  shortfall: NonNullable<Choice['shortfall']>,
  settings: PlanSettings,
  prediction: Prediction | undefined,
): string {
  const limit = settings.maxImageGrowthBytes
  if (shortfall === 'forced-beyond-limit') {
    return `what the recipe forces adds more than the ${formatBytes(limit ?? 0)} that are allowed`
  }
  const best = prediction === undefined ? '' : `: ${formatSeconds(prediction.bakedSeconds)} is the least`
  return `the target of ${formatSeconds(settings.targetSeconds ?? 0)} cannot be reached${limit === undefined ? '' : ' within the limit on growth'}${best}`
}

function predictionNotes(profile: Profile, prediction: Prediction | undefined): readonly string[] {
  if (prediction === undefined) return ['no prediction: no boot in which all steps ran was measured']
  const notes: string[] = []
  if (profile.ready.allRan?.few === true) {
    notes.push(
      `few samples: launch-to-ready comes from ${prediction.count} cold boot${prediction.count === 1 ? '' : 's'}`,
    )
  }
  if (!prediction.current) {
    notes.push('launch-to-ready comes from boots of another version of the recipe; the prediction is rough')
  }
  if (!prediction.fromPowerOn) notes.push('firmware time is not known here and left out of launch-to-ready')
  return notes
}
