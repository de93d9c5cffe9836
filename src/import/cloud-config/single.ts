import { dumpYaml } from '../../util/yaml.ts'
import type { Collector } from '../collector.ts'
import type { StepDraft } from '../model.ts'

/**
 * Adds a step that lets cloud-init's own modules work off a piece of cloud-config, whatever the host's user-data is: so
 * they do what they would have done. Returns the step's name.
 */
export function singleStep(
  to: Collector,
  draft: Omit<StepDraft, 'keys'>,
  modules: readonly string[],
  config: Readonly<Record<string, unknown>>,
): string {
  const path = to.file(`files/cloud-init/${draft.name}.yaml`, Buffer.from(`#cloud-config\n${dumpYaml(config)}`))
  const lines = modules.map((name) => `cloud-init --file ${path} single --name ${name} --frequency always\n`)
  return to.step({ ...draft, keys: { type: 'script', inputs: [path], run: lines.join('') } })
}
