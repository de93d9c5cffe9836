import { z } from 'zod'
import type { Sha256 } from '../util/sha256.ts'

const digest = z.custom<Sha256>((value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value))

const fileSystem = z.object({ type: z.string(), uuid: z.string(), label: z.string() })

const partition = z.object({
  /** As the kernel counts; 0 where the file system fills the disk. */
  number: z.number().int().nonnegative(),
  startBytes: z.number().int().nonnegative(),
  sizeBytes: z.number().int().nonnegative(),
  role: z.enum(['linux', 'esp', 'bios-boot', 'swap', 'other']),
  name: z.string().optional(),
  partUuid: z.string().optional(),
  fs: fileSystem.optional(),
})

/** Where a base's packages came from, so that newer ones can be looked for. */
const archiveSchema = z.object({
  mirror: z.string(),
  securityMirror: z.string(),
  /** File of the keys that sign the archive. */
  keyring: z.string(),
  suite: z.string(),
  components: z.array(z.string()).readonly(),
  architecture: z.string(),
})

export type Archive = z.infer<typeof archiveSchema>

/** base.json beside each base's disk. */
export const baseRecordSchema = z.object({
  v: z.literal(1),
  name: z.string(),
  /** sha256 of disk.qcow2. */
  digest,
  format: z.literal('qcow2'),
  sizeBytes: z.number().int().nonnegative(),
  virtualSizeBytes: z.number().int().positive(),
  distribution: z.string(),
  /** ISO 8601. */
  builtAt: z.string(),
  /** Number of packages; undefined for an imported image. */
  packages: z.number().int().optional(),
  /** What it was built from; undefined for an imported image. */
  definitionDigest: digest.optional(),
  /** Where an imported image came from, without credentials. */
  source: z.string().optional(),
  /** sha256 of an imported image as it came. */
  sourceDigest: digest.optional(),
  /** What is on the disk, as found there; like the next two undefined for bases of parbake 0.1. */
  layout: z
    .object({ table: z.enum(['mbr', 'gpt', 'none']), sectorSize: z.number().int(), partitions: z.array(partition) })
    .optional(),
  /** Number of the partition that holds the root file system, by all that the layout tells. */
  rootPartition: z.number().int().nonnegative().optional(),
  /** How the disk can be started, by what is on it. */
  boot: z.array(z.enum(['bios', 'uefi'])).optional(),
  /** Undefined for an imported image. The list of packages is in packages.json. */
  archive: archiveSchema.optional(),
})

export type BaseRecord = z.infer<typeof baseRecordSchema>

/** A base in the cache. Its disk is never written to: run guests on overlays. */
export interface Base extends BaseRecord {
  /** Absolute path of disk.qcow2. */
  readonly path: string
}
