import { z } from 'zod'
import type { Sha256 } from '../util/sha256.ts'

const digest = z.custom<Sha256>((value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value))

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
})

export type BaseRecord = z.infer<typeof baseRecordSchema>

/** A base in the cache. Its disk is never written to: run guests on overlays. */
export interface Base extends BaseRecord {
  /** Absolute path of disk.qcow2. */
  readonly path: string
}
