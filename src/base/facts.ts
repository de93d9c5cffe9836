import { packageFacts, type GuestFacts } from '../tune/facts.ts'
import { readPackages } from './cache.ts'
import type { Base } from './model.ts'

/** What a base's own records say of its system; nothing for an imported image, whose packages nobody wrote down. */
export async function baseFacts(base: Base): Promise<GuestFacts> {
  const packages = await readPackages(base)
  if (packages === undefined) return {}
  return {
    osId: base.distribution.split(' ')[0]?.toLowerCase() ?? '',
    ...packageFacts((name) => packages.find((entry) => entry.name === name)?.version),
  }
}
