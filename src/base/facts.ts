import type { GuestFacts } from '../tune/facts.ts'
import { readPackages } from './cache.ts'
import type { Base } from './model.ts'

/** What a base's own records say of its system; nothing for an imported image, whose packages nobody wrote down. */
export async function baseFacts(base: Base): Promise<GuestFacts> {
  const packages = await readPackages(base)
  if (packages === undefined) return {}
  const versionOf = (name: string) => packages.find((entry) => entry.name === name)?.version
  const cloudInit = /^(?:\d+:)?(\d+(?:\.\d+)*)/.exec(versionOf('cloud-init') ?? '')?.[1]
  const initramfs = (['initramfs-tools', 'dracut'] as const).find((name) => versionOf(name) !== undefined)
  return {
    osId: base.distribution.split(' ')[0]?.toLowerCase() ?? '',
    ...(cloudInit === undefined ? {} : { cloudInit }),
    ...(initramfs === undefined ? {} : { initramfs }),
  }
}
