import { z } from 'zod'

const installedPackage = z.object({
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  /** The source package, where its name is another one. */
  source: z.string().optional(),
})

/** packages.json beside a base's disk. */
export const packageListSchema = z.object({ v: z.literal(1), packages: z.array(installedPackage) })

export type InstalledPackage = Readonly<z.infer<typeof installedPackage>>

/** The packages that a dpkg status file calls installed, in its order. */
export function parseInstalled(status: string): readonly InstalledPackage[] {
  return status.split(/\n{2,}/).flatMap((paragraph) => {
    if (fieldOf(paragraph, 'Status')?.endsWith(' installed') !== true) return []
    const name = fieldOf(paragraph, 'Package')
    const version = fieldOf(paragraph, 'Version')
    if (name === undefined || version === undefined) return []
    // `Source: gcc-12 (12.2.0-14)` where the source's version is another one too.
    const source = fieldOf(paragraph, 'Source')?.split(' ')[0]
    const architecture = fieldOf(paragraph, 'Architecture') ?? 'all'
    return [{ name, version, architecture, ...(source !== undefined && source !== name && { source }) }]
  })
}

/** A field of one line in a paragraph of a Debian control file. */
function fieldOf(paragraph: string, name: string): string | undefined {
  const line = paragraph.startsWith(`${name}:`) ? paragraph : paragraph.split(`\n${name}:`)[1]
  if (line === undefined) return undefined
  const start = paragraph.startsWith(`${name}:`) ? name.length + 1 : 0
  return line.slice(start).split('\n')[0]?.trim()
}
