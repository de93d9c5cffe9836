import type { Call } from '../shell/call.ts'
import type { LintedRecipe, LintedScript, LintedStep, Report, Rule } from '../model.ts'

/** What a rule gets that looks at scripts one by one. */
interface ScriptCheck {
  readonly step: LintedStep
  readonly script: LintedScript
  /** Reports at a place in the script; `call` is the command that it is a part of. */
  readonly report: (offset: number, message: string, call?: Call) => void
}

/** The `check` of a rule that looks at each shell script by itself. */
export function inScripts(check: (context: ScriptCheck) => void): Rule['check'] {
  return ({ steps }: LintedRecipe, report: Report) => {
    for (const step of steps) {
      const { script } = step
      if (script?.dialect === undefined) continue
      check({
        step,
        script,
        report: (offset, message, call) => {
          report({
            message,
            location: script.locate(offset),
            step,
            ...(call === undefined ? {} : { first: script.locate(call.command.offset) }),
          })
        },
      })
    }
  }
}
