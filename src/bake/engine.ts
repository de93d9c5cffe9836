import type { Context } from '../context.ts'
import type { Report } from '../profile/report.ts'

/** Everything a bake puts into the guest, all digests resolved. Engines differ in how, never in what. */
export interface BakeJob {
  readonly imageId: string
  readonly recipeName: string
  readonly channelName: string
  readonly everyMinutes: number
  /** Names of the steps to run, in order. */
  readonly stepNames: readonly string[]
  /** Absolute path of the base's disk; never written to. */
  readonly basePath: string
  /** The published channel as it stands in the store: the agent in the bake verifies it as any host does. */
  readonly channelText: string
  readonly bundle: { readonly sha256: string; readonly bytes: Buffer }
  readonly trustedKeys: readonly string[]
}

/** A sealed, powered-off system. */
export interface BakedDisk {
  /** Absolute path inside the work folder: qcow2, may have the base as backing file. */
  readonly path: string
  /** What the agent measured; its identity is that of the machine that was baked on. */
  readonly report: Report
  readonly accelerator: string
}

/**
 * Runs the chosen steps on a copy of the base, seals it and powers it off. Throws UserError where a step or the seal
 * fails. Leaves nothing running, whatever happens; files only in the work folder, which the caller removes.
 */
export interface BakeEngine {
  readonly name: 'vm'
  bake(job: BakeJob, workFolder: string, context: Context): Promise<BakedDisk>
}
