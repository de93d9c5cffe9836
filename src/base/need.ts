import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { findBase } from './cache.ts'
import type { Base } from './model.ts'

/**
 * Like `findBase`, but builds one that is missing and can be built by name: whoever asks for a launch need not know first
 * what it starts from.
 */
export async function needBase(nameOrDigest: string, context: Context): Promise<Base> {
  try {
    return await findBase(nameOrDigest, context)
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== 'base-missing') throw error
    const { definitionNames } = await import('./definitions.ts')
    if (!(await definitionNames()).includes(nameOrDigest)) throw error
    context.reporter.emit({ type: 'note', text: `there is no base '${nameOrDigest}' yet: building it, this once` })
    const { buildBase } = await import('./build.ts')
    return buildBase(nameOrDigest, context)
  }
}
