import { findStepType } from '../../src/steps/registry.ts'
import type { RenderContext, RenderedParts } from '../../src/steps/types.ts'

const context: RenderContext = {
  params: {},
  report: (path, message) => {
    throw new Error(`${path.join('.')} ${message}`)
  },
  readText: (_path, relative) => Promise.resolve(`content of ${relative}`),
  // Names without a dot stand for folders of one file.
  readFiles: (_path, relative) => {
    const path = relative.includes('.') ? relative : `${relative}/page.html`
    return Promise.resolve([{ path, executable: false, content: Buffer.from(`content of ${path}`) }])
  },
  fill: (text) => Promise.resolve(text),
}

/** What a step of this type renders to. */
export async function renderType(type: string, spec: Readonly<Record<string, unknown>>): Promise<RenderedParts> {
  const parts = await findStepType(type)?.render({ type, name: 'step', ...spec }, context)
  if (parts === undefined) throw new Error('the step does not fit its schema')
  return parts
}
