import { findStepType } from '../../src/steps/registry.ts'
import type { RenderContext, RenderedParts } from '../../src/steps/types.ts'

const context: RenderContext = {
  params: {},
  report: (path, message) => {
    throw new Error(`${path.join('.')} ${message}`)
  },
  readText: (_path, relative) => Promise.resolve(`content of ${relative}`),
  readFiles: (_path, relative) =>
    Promise.resolve([{ path: relative, executable: false, content: Buffer.from(`content of ${relative}`) }]),
  fill: (text) => Promise.resolve(text),
}

/** What a step of this type renders to. */
export async function renderType(type: string, spec: Readonly<Record<string, unknown>>): Promise<RenderedParts> {
  const parts = await findStepType(type)?.render({ type, name: 'step', ...spec }, context)
  if (parts === undefined) throw new Error('the step does not fit its schema')
  return parts
}
