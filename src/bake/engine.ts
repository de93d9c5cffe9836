import type { BaseReady } from '../base/ready.ts'
import type { Context } from '../context.ts'
import type { Report } from '../profile/report.ts'
import type { Json } from '../util/canonical-json.ts'

export const engineNames = ['container', 'vm'] as const
export type EngineName = (typeof engineNames)[number]

/** Everything a bake puts into the guest, all digests resolved. Engines differ in how, never in what. */
export interface BakeJob {
  readonly imageId: string
  readonly recipeName: string
  readonly channelName: string
  readonly everyMinutes: number
  /** Names of the steps to bake, in order. */
  readonly stepNames: readonly string[]
  /** Those of them that say `requires: vm`. */
  readonly vmStepNames: readonly string[]
  readonly base: {
    readonly name: string
    readonly digest: string
    readonly path: string
    readonly ready?: BaseReady
  }
  /** The published channel as it stands in the store: the agent in the bake verifies it as any host does. */
  readonly channelText: string
  readonly bundle: { readonly sha256: string; readonly bytes: Buffer }
  readonly trustedKeys: readonly string[]
}

/** A state in the step cache that a bake can go on from: the booted base, and some steps done on it. */
export interface StartState {
  /** Absolute path of its folder; what is in it is the engine's own business, and never written to again. */
  readonly folder: string
  /** Folders of the states below it, the lowest first, itself last. */
  readonly chain: readonly string[]
  /** What `keep` gave for it. */
  readonly note: Json
}

export interface OpenOptions {
  /** Go on from here; left out: boot the base. */
  readonly from?: StartState
  /** Absolute path of an empty folder that takes what is written from now on, on the file system of the step cache. */
  readonly layer: string
  /** Absolute path of a folder that is gone when the bake is over. */
  readonly work: string
  /** What `seal` will be asked for: an engine may begin with the disk at once. */
  readonly thin?: boolean
  /** Where the guest finds the host's download cache; left out: it downloads by itself. */
  readonly packageCache?: PackageCacheAddress
}

export interface PackageCacheAddress {
  /** TCP port on the host's loopback. */
  readonly port: number
}

/** A running system that becomes an image. Disposing it leaves nothing running or mounted, at any moment. */
export interface BakeSession extends AsyncDisposable {
  /** What it runs under: `kvm`, `tcg` or `native`. */
  readonly accelerator: string
  /** About how long `keep` takes, in seconds: what costs less to redo is not worth keeping. */
  readonly keepSeconds: number
  /** Where everything that the system printed is. */
  readonly consoleLog: string
  /**
   * Lets the agent run one step (`-` runs none) and resolves with its report, also when the step failed. Throws UserError
   * where there is no report.
   */
  runStep(name: string): Promise<Report>
  /** Begins to apply boot tunings (bootstrap/tune.sh). Steps may run beside them; `keep` and `seal` only after their end. */
  tune(names: readonly string[]): Promise<Tuning>
  /**
   * Makes what has been done up to now a state to go on from, held in the present layer folder and those below it; what
   * comes next goes into `nextLayer`. Resolves with the bytes that the folder takes up and what `open` must be told.
   */
  keep(nextLayer: string): Promise<{ readonly sizeBytes: number; readonly note: Json }>
  /** Opens a shell in the system on this process's terminal, and resolves when the user has left it. */
  shell(): Promise<void>
  /** A command line by which the operator gets into the running system from another terminal. */
  enterCommand(): string
  /**
   * Seals the system, powers it off and resolves with its disk. `thin` leaves the base as backing file of a qcow2; else
   * the disk is whole (raw, or qcow2 with backing files that `flatten` reads). Nothing that was deleted is in it.
   */
  seal(options: { readonly imageId: string; readonly thin: boolean }): Promise<SealedDisk>
}

/** Boot tunings that are being applied. */
export interface Tuning {
  /** Resolves when all are applied; only one question at a time may be put to a session. Throws UserError where one fails. */
  ended(): Promise<void>
}

/** A sealed, powered-off system. */
export interface SealedDisk {
  /** Absolute path inside the work folder. */
  readonly path: string
  readonly format: 'qcow2' | 'raw'
}

/** Runs the chosen steps on a copy of the base. Leaves nothing running, whatever happens. */
export interface BakeEngine {
  readonly name: EngineName
  /** Why it cannot bake this here, in words that end the sentence "cannot be used: …"; undefined where it can. */
  obstacle(job: BakeJob, context: Context): Promise<string | undefined>
  /** What kept states depend on besides base and steps: machine, versions of tools, the driver script. Goes into cache keys. */
  fingerprint(job: BakeJob, context: Context): Promise<Json>
  /** True where booting the base costs so much that the booted base itself is kept. */
  readonly keepsBoot: boolean
  /** Starts a system and resolves when it takes commands. Throws UserError where it does not come up. */
  open(job: BakeJob, options: OpenOptions, context: Context): Promise<BakeSession>
}
