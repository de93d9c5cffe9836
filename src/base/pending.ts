import { z } from 'zod'
import { compareDebVersions } from './deb-version.ts'
import type { InstalledPackage } from './packages.ts'

/** The parts of an archive that apt reads. */
export const pockets = ['suite', 'updates', 'security'] as const
export type Pocket = (typeof pockets)[number]

/** By package, the newest version that each part of an archive has. */
export type ArchiveVersions = Readonly<Record<Pocket, ReadonlyMap<string, string>>>

export const pendingUpdateSchema = z.object({
  name: z.string(),
  installed: z.string(),
  /** The newest there is. */
  available: z.string(),
  /** The security archive has a newer version than the installed one. */
  security: z.boolean(),
})

/** A package that an upgrade today would replace. */
export type PendingUpdate = Readonly<z.infer<typeof pendingUpdateSchema>>

/** What an upgrade would replace, security fixes first, then by name. A package that has vanished from the archive is none. */
export function pendingUpdates(
  installed: readonly InstalledPackage[],
  archive: ArchiveVersions,
): readonly PendingUpdate[] {
  return installed
    .flatMap(({ name, version }): PendingUpdate[] => {
      const offers = pockets.flatMap((pocket) => archive[pocket].get(name) ?? [])
      const available = offers.toSorted(compareDebVersions).at(-1)
      if (available === undefined || compareDebVersions(available, version) <= 0) return []
      const fix = archive.security.get(name)
      return [
        { name, installed: version, available, security: fix !== undefined && compareDebVersions(fix, version) > 0 },
      ]
    })
    .toSorted((a, b) => Number(b.security) - Number(a.security) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/**
 * Takes the lines of a Packages index one after the other and keeps the newest version of every wanted package. An index
 * may list several.
 */
export class VersionCollector {
  readonly versions = new Map<string, string>()
  readonly #wanted: ReadonlySet<string>
  #name: string | undefined

  constructor(wanted: ReadonlySet<string>) {
    this.#wanted = wanted
  }

  line(line: string): void {
    if (line.startsWith('Package: ')) this.#name = line.slice('Package: '.length).trim()
    else if (line === '') this.#name = undefined
    else if (line.startsWith('Version: ') && this.#name !== undefined && this.#wanted.has(this.#name)) {
      const version = line.slice('Version: '.length).trim()
      const known = this.versions.get(this.#name)
      if (known === undefined || compareDebVersions(version, known) > 0) this.versions.set(this.#name, version)
    }
  }
}
