import { z } from 'zod'
import { UserError } from '../errors.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { sha256, type Sha256 } from '../util/sha256.ts'

const digest = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const seconds = z.number().nonnegative()
const bytes = z.number().int().nonnegative()
/** Goes into object keys. */
const keyPart = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'use letters, digits, ".", "_" and "-" only')

const verificationCheck = z.object({
  /** What was checked, e.g. `baked-steps-skipped` or `machine-id-fresh`. */
  name: z.string().min(1),
  ok: z.boolean(),
  /** What was seen. */
  detail: z.string().optional(),
})

/**
 * Manifest of a published image, version 1: what it was made of and what was measured. Readers accept unknown members,
 * so that later versions can add some.
 */
export const manifestSchema = z.looseObject({
  v: z.literal(1),
  imageId: keyPart,
  recipe: keyPart,
  /** The image channel it was published to, if any. */
  channel: keyPart.optional(),
  /** ISO 8601, UTC. */
  createdAt: z.iso.datetime(),
  base: z.object({ name: z.string().min(1), digest }),
  /** Digest of the bundle whose steps were baked. */
  bundle: digest,
  /**
   * The baked steps in the order in which they ran; seconds they took when they ran, bytes by which the file system grew,
   * and whether that was in an earlier bake.
   */
  steps: z.array(
    z.object({
      name: z.string().min(1),
      digest,
      seconds,
      diskBytes: bytes.optional(),
      cached: z.boolean().optional(),
    }),
  ),
  /** Names of the boot tunings applied. */
  tunings: z.array(z.string()).optional(),
  planDigest: digest,
  format: z.object({
    /** Image format; always qcow2 in version 1. */
    type: z.literal('qcow2'),
    compression: z.enum(['none', 'zlib', 'zstd']),
    /** Name of the backing file in a thin image; the file is the base, by the digest above. */
    backing: z.string().optional(),
  }),
  /** Size and digest of the file as stored. */
  sizeBytes: bytes,
  sha256: digest,
  /** What the guest sees as its disk. */
  virtualSizeBytes: bytes,
  /** Stored size less that of the base in the same format; negative where the image is smaller. */
  addedBytes: z.number().int(),
  /** Versions by tool, e.g. `qemu`. */
  tools: z.record(z.string(), z.string()),
  parbakeVersion: z.string().min(1),
  /** What the bake ran under: `kvm`, `tcg`, or `native` in a container. */
  accelerator: z.string().min(1),
  engine: z.enum(['container', 'vm']).optional(),
  /**
   * What the look from outside at the finished disk covered; it found nothing, or there would be no image. `bytesSeen` of the
   * bytes are as in the image before, whose look had covered them.
   */
  seal: z.object({ filesLooked: bytes, bytesScanned: bytes, bytesSeen: bytes.optional() }).optional(),
  verification: z.object({
    /** Seconds since the kernel started until the image's first converge was done; the median of `launches`. */
    readyUptime: seconds,
    /** The same from the start of QEMU, on the host's clock. */
    launchSeconds: seconds,
    /** Each verifying launch in order, where there was more than one. */
    launches: z.array(z.object({ readyUptime: seconds, launchSeconds: seconds })).optional(),
    checks: z.array(verificationCheck),
  }),
  /**
   * What the plan foretold, with the interval for one launch, and beside it the median of the verifying launches; absent where
   * nothing had been measured.
   */
  predicted: z
    .object({
      unbakedSeconds: seconds,
      bakedSeconds: seconds,
      lowSeconds: seconds.optional(),
      highSeconds: seconds.optional(),
      /** Whether the figures begin at power-on; if not, at the start of the kernel. */
      fromPowerOn: z.boolean().optional(),
      measuredSeconds: seconds.optional(),
    })
    .optional(),
})

const draftSchema = manifestSchema.partial({ verification: true })

export type ImageManifest = z.infer<typeof manifestSchema>
/** Of an image that may not have been launched yet: such a one is never published. */
export type DraftManifest = z.infer<typeof draftSchema>
export type VerificationCheck = z.infer<typeof verificationCheck>

/**
 * The manifest's file content: keys in code-unit order, indented by two, LF at the end, so that equal manifests are
 * equal bytes. Throws ZodError for what is no manifest: that is a bug of the caller.
 */
export function renderManifest(manifest: ImageManifest): string {
  return `${JSON.stringify(sortKeys(manifestSchema.parse(manifest)), null, 2)}\n`
}

/** The digest by which an image channel names a manifest: of its rendered bytes. */
export function manifestDigest(manifest: ImageManifest): Sha256 {
  return sha256(renderManifest(manifest))
}

/** Reads a stored manifest. Throws UserError (code `manifest-invalid`) naming `source` and what is wrong. */
export function parseManifest(text: string, source: string): ImageManifest {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new UserError(`${source} is no image manifest: it is not JSON`, { cause: error, code: 'manifest-invalid' })
  }
  const parsed = manifestSchema.safeParse(document)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new UserError(`${source} is no image manifest: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`, {
    hint: 'bake the image again, or use the version of parbake that wrote it',
    code: 'manifest-invalid',
  })
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(
    members.toSorted(([a], [b]) => compareCodeUnits(a, b)).map(([key, member]) => [key, sortKeys(member)]),
  )
}
