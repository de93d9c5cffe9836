import { posix } from 'node:path'
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

/**
 * Adds a step that writes a file: a template, or a script that copies it, where its content is no text or would be read as
 * a template. Returns the step's name.
 */
export function fileStep(to: Collector, draft: Omit<StepDraft, 'keys'>, file: WantedFile): string {
  const { destination, content, owner, mode } = file
  const text = content.toString('utf8')
  const isText = Buffer.from(text).equals(content) && !text.includes('\0') && !text.startsWith('\uFEFF')
  const described = { ...draft, description: draft.description ?? `Writes ${destination}` }
  if (!isText || text.includes('{{') || !/^[a-z_][a-z0-9_-]*(?::[a-z_][a-z0-9_-]*)?$/.test(owner)) {
    const source = to.file(`files${destination}`, content)
    const run = `#!/bin/sh\nset -eu\n${placeFiles([{ source, destination, owner, mode }], '.')}`
    return to.script(described, run, { inputs: [source] })
  }
  const lines = text.split('\n').length
  const from =
    lines > inlineLines || /\r|[^\S\n]\n/.test(text)
      ? { template: to.file(`files${posix.normalize(destination)}`, content) }
      : { content: text }
  return to.step({
    ...described,
    keys: { type: 'template', ...from, destination, ...(owner === 'root:root' ? {} : { owner }), mode },
  })
}
