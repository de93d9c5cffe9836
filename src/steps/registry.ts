import { ansible } from './ansible.ts'
import { archive } from './archive.ts'
import { directory } from './directory.ts'
import { fetch } from './fetch.ts'
import { file } from './file.ts'
import { packages } from './packages.ts'
import { puppet } from './puppet.ts'
import { script } from './script.ts'
import { service } from './service.ts'
import { template } from './template.ts'
import type { StepType } from './types.ts'
import { user } from './user.ts'

/** Every step type. A new one is one file and one entry here. */
export const stepTypes = [
  script,
  packages,
  template,
  file,
  directory,
  user,
  service,
  fetch,
  archive,
  ansible,
  puppet,
] as const satisfies readonly StepType[]

/** The step type of this name, or undefined. */
export function findStepType(name: unknown): StepType | undefined {
  return stepTypes.find((type) => type.name === name)
}
