import { packages } from './packages.ts'
import { script } from './script.ts'
import { template } from './template.ts'
import type { StepType } from './types.ts'

/** Every step type. A new one is one file and one entry here. */
export const stepTypes = [script, packages, template] as const satisfies readonly StepType[]

/** The step type of this name, or undefined. */
export function findStepType(name: unknown): StepType | undefined {
  return stepTypes.find((type) => type.name === name)
}
