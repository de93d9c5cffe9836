import type { SourceLocation } from '../errors.ts'
import type { Recipe, Step } from '../recipe/model.ts'
import type { StepSource } from '../recipe/load.ts'
import type { Effects, Mention } from './effects.ts'
import type { Call } from './shell/call.ts'
import type { ShellScript } from './shell/model.ts'

/** `error`: will fail or do harm. `warning`: will hurt some day. `hint`: worth a thought; shown with `--hints` only. */
export type Severity = 'error' | 'warning' | 'hint'

/** One thing that was found in a recipe that loads. */
export interface Finding {
  readonly id: string
  readonly severity: Severity
  readonly message: string
  readonly location: SourceLocation
  /** What to do about it. */
  readonly fix: string
  /** The step it is about. */
  readonly step?: string
  /** Where its command begins, if not in the line of `location`: a comment there allows it too. */
  readonly firstLine?: number
}

/** A finding that the user allows, and why. */
export interface AllowedFinding extends Finding {
  readonly reason: string
}

/** What is said about a rule in tables and by `--explain`. */
export interface RuleText {
  /** Stable; what `allow`, `--only` and `--except` name. */
  readonly id: string
  readonly severity: Severity
  /** What it finds, in a few words. */
  readonly finds: string
  /** Why that hurts, in full sentences. */
  readonly why: string
  readonly fix: string
  /** Part of a recipe that has the finding, and the same without it. */
  readonly example: { readonly bad: string; readonly good: string }
}

export interface Rule extends RuleText {
  readonly check: (recipe: LintedRecipe, report: Report) => void
}

/** A script that the user wrote. */
export interface LintedScript {
  /** As written, without what parbake puts before it. */
  readonly text: string
  /** As it is shown; undefined where the script stands in recipe.yaml. */
  readonly file: string | undefined
  /** What the interpreter is by its `#!`; `sh` where there is none. Undefined for what is no POSIX-like shell. */
  readonly dialect: 'sh' | 'bash' | 'dash' | 'ksh' | undefined
  /** No commands where the dialect is undefined. */
  readonly shell: ShellScript
  readonly calls: readonly Call[]
  /** Lines that parbake puts before the text when it runs. */
  readonly addedLines: number
  locate(offset: number): SourceLocation
  readonly locateLine: (line: number, column: number) => SourceLocation
}

export interface LintedStep {
  readonly step: Step
  /** Undefined for steps that no user wrote. */
  readonly source: StepSource | undefined
  readonly script: LintedScript | undefined
  /** By its keys and its script. */
  readonly effects: Effects
  /** Nothing in the recipe speaks against baking it; what is measured does not count. */
  readonly mayBeBaked: boolean
  /** Where a key of the step stands; the step itself without one. */
  locate(...path: readonly (string | number)[]): SourceLocation
  /** Where a mention stands: in the script, or in the key that has this value, or the step itself. */
  locateMention(mention: Mention): SourceLocation
}

export interface LintedRecipe {
  readonly recipe: Recipe
  /** In the order in which they run. */
  readonly steps: readonly LintedStep[]
}

/** Reports a finding of the rule at hand. */
export type Report = (finding: {
  readonly message: string
  readonly location: SourceLocation
  /** Absent where the finding is about no step in particular. */
  readonly step?: LintedStep
  /** Instead of the rule's own. */
  readonly fix?: string
  /** Where the command begins. */
  readonly first?: SourceLocation
}) => void
