import type { Collector } from './collector.ts'
import type { StepDraft } from './model.ts'
import { placeFiles } from './volatile.ts'

/** A file as it is to be on the host. */
export interface WantedFile {
  readonly destination: string
  readonly content: Buffer
  readonly owner: string
  /** Octal digits. */
  readonly mode: string
}

/** Longest content that stands in recipe.yaml itself, in lines. */
const inlineLines = 10

/** Adds a step that writes a file: short texts stand in recipe.yaml. Returns the step's name. */
export function fileStep(to: Collector, draft: Omit<StepDraft, 'keys'>, file: WantedFile): string {
  const { destination, content, owner, mode } = file
  const text = content.toString('utf8')
  // What YAML cannot show as it is, or nobody wants to read there, becomes a file.
  const isShort =
    Buffer.from(text).equals(content) && text.split('\n').length <= inlineLines && !/[^\S\n]$|[^\n\t\P{C}]/mu.test(text)
  const described = { ...draft, description: draft.description ?? `Writes ${destination}` }
  if (!/^[a-z_0-9][a-z0-9_-]*(?::[a-z_0-9][a-z0-9_-]*)?$/.test(owner)) {
    const source = to.file(`files${destination}`, content)
    const run = `#!/bin/sh\nset -eu\n${placeFiles([{ source, destination, owner, mode }], '.')}`
    return to.script(described, run, { inputs: [source] })
  }
  return to.step({
    ...described,
    keys: {
      type: 'file',
      ...(isShort ? { content: text } : { source: to.file(`files${destination}`, content) }),
      destination,
      ...(owner === 'root:root' ? {} : { owner }),
      mode,
    },
  })
}
