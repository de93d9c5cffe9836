import { z } from 'zod'
import type { YamlPath } from '../util/yaml.ts'

/** A file that the base gets besides those of its packages. */
export interface BaseFile {
  /** Absolute path in the guest. */
  readonly path: string
  /** Octal, e.g. `0644`. */
  readonly mode: string
  readonly content: string
}

/** How a disk is started. An image can be made for both. */
export type BootMethod = 'bios' | 'uefi'

/** The layout of a base's disk: GPT, a place for each boot loader, then the root file system to the end. */
export interface BaseDisk {
  /** Size as the guest sees it; space that is not used costs nothing. */
  readonly sizeMiB: number
  /** UUID of the partition table, fixed, so that the same input gives the same disk. */
  readonly id: string
  /** Size of the EFI system partition, which is there only for `uefi`. */
  readonly espMiB: number
  readonly rootLabel: string
  readonly rootUuid: string
}

/** All that decides what is in a base, as data: its digest finds a build in the cache. */
export interface BaseDefinition {
  readonly name: string
  /** As people say it, e.g. `Debian 12 (bookworm)`. */
  readonly distribution: string
  readonly suite: string
  readonly mirror: string
  readonly securityMirror: string
  /** File of the keys that sign the archive. */
  readonly keyring: string
  readonly architecture: 'amd64'
  readonly components: readonly string[]
  readonly packages: readonly string[]
  readonly boot: readonly BootMethod[]
  /** What the boot loader passes to the kernel besides the root file system. */
  readonly kernelArguments: readonly string[]
  readonly disk: BaseDisk
  readonly files: readonly BaseFile[]
  /** Shell commands run with the tree's path as $1, after the packages and before the files. */
  readonly prepare: readonly string[]
  /** Shell commands run with the tree's path as $1, at the end. */
  readonly finish: readonly string[]
}

const word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9+.~_-]*$/, 'must be one word of letters, digits, +, ., ~, _ and -')
const url = z
  .string()
  .regex(/^(https?|file):\/\/?[^\s'"]+$/, 'must be the URL of an archive, such as http://deb.debian.org/debian')
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a UUID in lower case')
const mode = z.string().regex(/^[0-7]{4}$/, "must be four octal digits in quotes, such as '0644'")
const commands = z.array(z.string().min(1))

const size = z
  .string()
  .regex(/^[1-9][0-9]*(MiB|GiB)$/, 'must be a size such as 512MiB or 4GiB')
  .transform((text) => Number.parseInt(text, 10) * (text.endsWith('GiB') ? 1024 : 1))

const filePath = z
  .string()
  .regex(/^(\/(?!\.\.?(\/|$))[A-Za-z0-9@._+-]+)+$/, 'is no absolute path of letters, digits, @, ., _, + and -')

const file = z.union([z.string(), z.strictObject({ mode: mode.optional(), content: z.string() })], {
  error: 'must be the text of the file, or a mapping with mode and content',
})

/** One file of a definition: everything may be left to the file that it extends. */
export const layerSchema = z.strictObject({
  extends: z.string().min(1).optional(),
  distribution: z.string().min(1).optional(),
  suite: word.optional(),
  mirror: url.optional(),
  securityMirror: url.optional(),
  keyring: z.string().startsWith('/', 'must be an absolute path').optional(),
  architecture: z.enum(['amd64']).optional(),
  components: z.array(word).min(1).optional(),
  packages: z.array(word).optional(),
  boot: z
    .array(z.enum(['bios', 'uefi']))
    .min(1)
    .optional(),
  kernelArguments: z
    .array(z.string().regex(/^[^\s'"\\$;{}]+$/, 'must be one word that GRUB takes as it is'))
    .optional(),
  disk: z
    .strictObject({
      size: size.optional(),
      id: uuid.optional(),
      esp: z.strictObject({ size: size.optional() }).optional(),
      root: z.strictObject({ label: word.max(16).optional(), uuid: uuid.optional() }).optional(),
    })
    .optional(),
  files: z.record(filePath, file).optional(),
  prepare: commands.optional(),
  finish: commands.optional(),
})

export type DefinitionLayer = z.infer<typeof layerSchema>

/** What a definition as a whole lacks, or where it contradicts itself. */
export interface DefinitionProblem {
  readonly path: YamlPath
  readonly message: string
}

/**
 * Puts layers together, the most general first: lists are added, mappings are merged, everything else replaces.
 */
export function mergeLayers(layers: readonly DefinitionLayer[]): DefinitionLayer {
  return layers.reduce((merged, layer) => mergeValues(merged, layer) as DefinitionLayer, {})
}

function mergeValues(below: unknown, above: unknown): unknown {
  if (above === undefined) return below
  if (Array.isArray(below) && Array.isArray(above))
    return [...new Set([...(below as unknown[]), ...(above as unknown[])])]
  if (!isMapping(below) || !isMapping(above)) return above
  const keys = [...new Set([...Object.keys(below), ...Object.keys(above)])]
  return Object.fromEntries(keys.map((key) => [key, mergeValues(below[key], above[key])]))
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The definition that merged layers make, or all that keeps them from being one. */
export function completeDefinition(
  name: string,
  layer: DefinitionLayer,
): { readonly definition: BaseDefinition } | { readonly problems: readonly DefinitionProblem[] } {
  const { distribution, suite, mirror, securityMirror, keyring, architecture, components, disk = {} } = layer
  const { boot = ['bios', 'uefi'], kernelArguments = [], packages = [] } = layer
  const { size: sizeMiB, id, esp = {}, root = {} } = disk
  const problems: DefinitionProblem[] = []
  const required = { distribution, suite, mirror, securityMirror, keyring, architecture, components }
  const requiredOfDisk = { 'disk.size': sizeMiB, 'disk.id': id, 'disk.root.uuid': root.uuid }
  for (const [key, value] of Object.entries({ ...required, ...requiredOfDisk })) {
    if (value === undefined) problems.push({ path: [], message: `${key} is missing, here and in what it extends` })
  }
  const espMiB = esp.size ?? 48
  if (boot.includes('uefi') && espMiB < 34) {
    problems.push({ path: ['disk', 'esp', 'size'], message: 'disk.esp.size must be at least 34MiB, as FAT32 needs' })
  }
  if (sizeMiB !== undefined && sizeMiB < espMiB + 512) {
    problems.push({ path: ['disk', 'size'], message: `disk.size leaves no 512MiB for the root file system` })
  }
  const values: Values = {
    ...{ name, distribution: distribution ?? '', suite: suite ?? '' },
    ...{ rootUuid: root.uuid ?? '', rootLabel: root.label ?? 'root', kernelArguments: kernelArguments.join(' ') },
  }
  const files = Object.entries(layer.files ?? {}).map(([path, entry]) => {
    const { mode: permissions = '0644', content } = typeof entry === 'string' ? { content: entry } : entry
    return { path, mode: permissions, content: fill(content, ['files', path], values, problems) }
  })
  if (problems.length > 0) return { problems }
  const definition = {
    ...{ name, ...required, packages: [...new Set(packages)].toSorted(), boot: [...new Set(boot)], kernelArguments },
    disk: { sizeMiB, id, espMiB, rootLabel: values.rootLabel, rootUuid: root.uuid },
    ...{ files, prepare: layer.prepare ?? [], finish: layer.finish ?? [] },
  }
  // Every part that may be undefined was found missing above.
  return { definition: definition as BaseDefinition }
}

type Values = Readonly<Record<'name' | 'distribution' | 'suite' | 'rootUuid' | 'rootLabel' | 'kernelArguments', string>>

/** Replaces @name@; what is between other signs stays, as in addresses. */
function fill(text: string, path: YamlPath, values: Values, problems: DefinitionProblem[]): string {
  return text.replaceAll(/(?<![A-Za-z0-9])@([A-Za-z]+)@(?![A-Za-z0-9])/g, (whole, key: string) => {
    if (Object.hasOwn(values, key)) return values[key as keyof Values]
    const known = Object.keys(values).map((name) => `@${name}@`)
    problems.push({ path, message: `${whole} stands for nothing; known: ${known.join(', ')}` })
    return whole
  })
}
