import { Option, type Command } from 'commander'
import type { Objective, PlanDefaults } from '../config.ts'
import { exitCodes, UserError } from '../errors.ts'
import { parseDurationOption } from '../profile/duration.ts'
import { parseSize, sizeRule } from '../util/size.ts'

/** What a command line says about plans. */
export interface PlanOptions {
  readonly objective?: Objective
  readonly target?: string
  readonly minSaving?: string
  readonly maxImageGrowth?: string
}

/** Adds the options that `planOptions` reads. */
export function addPlanOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--objective <name>', 'what the plan is to reach (default: plan.objective, else balanced)').choices([
        'balanced',
        'fastest',
        'smallest',
        'target',
      ]),
    )
    .option('--target <duration>', 'reach this launch-to-ready with the fewest bytes, e.g. 45s')
    .option('--min-saving <duration>', 'bake steps from this median wall time on, e.g. 1s')
    .option('--max-image-growth <size>', 'let the steps add at most this much to the image, e.g. 400MiB')
}

/** The configured settings with what the command line says instead. Throws UserError (exit code 2) for what is wrong. */
export function planOptions(configured: PlanDefaults, options: PlanOptions): PlanDefaults {
  const { targetSeconds: configuredTarget, ...others } = configured
  const target = options.target === undefined ? undefined : parseDurationOption('--target', options.target)
  const objective = options.objective ?? (target === undefined ? configured.objective : 'target')
  if (objective !== 'target' && target !== undefined) {
    throw usage(`--target does not go with --objective ${objective}`, 'leave one of them out')
  }
  const targetSeconds = target ?? configuredTarget
  if (objective === 'target' && targetSeconds === undefined) {
    throw usage('the objective target needs a launch-to-ready to reach', 'give one, e.g. --target 45s')
  }
  return {
    ...others,
    ...(objective === undefined ? {} : { objective }),
    ...(objective === 'target' && targetSeconds !== undefined ? { targetSeconds } : {}),
    ...(options.minSaving === undefined
      ? {}
      : { minSavingSeconds: parseDurationOption('--min-saving', options.minSaving) }),
    ...(options.maxImageGrowth === undefined ? {} : { maxImageGrowthBytes: growth(options.maxImageGrowth) }),
  }
}

function growth(text: string): number {
  const bytes = parseSize(text)
  if (bytes === undefined) throw usage(`'${text}' is no size for --max-image-growth`, sizeRule)
  return bytes
}

function usage(message: string, hint: string): UserError {
  return new UserError(message, { hint, exitCode: exitCodes.usage })
}
