/**
 * The resolved configuration: `parbake.yaml` over defaults, paths absolute. Reading it is in `src/load-config.ts`, so
 * that what only needs the type loads no YAML parser.
 */
export interface Config {
  /** The parbake.yaml it came from, or undefined where defaults were used. */
  readonly file: string | undefined
  /** Folder that relative paths are resolved against. */
  readonly root: string
  /** Object store URL: `file:///dir`, `s3://bucket/prefix?endpoint=…&region=…` or `minio://host:port/bucket/prefix`. */
  readonly store: string
  readonly hosts: HostAccess
  readonly channel: string
  /** Days after which a channel that nobody published again is refused by hosts; 0 for never. */
  readonly channelExpiryDays: number
  /** Folder of signing keys: `<name>.key` (private, PEM) and `<name>.pub`. */
  readonly keysDir: string
  /** What signs instead of a key file; undefined where a file or the environment holds the key. */
  readonly signing: SigningDefaults | undefined
  /** Images, bases, bundles: may be deleted at any time. */
  readonly cacheDir: string
  readonly cache: CacheLimits
  /** What must not be lost but is nobody's source: default store, embedded server's credentials. */
  readonly stateDir: string
  /** Name or digest of the base that bakes and launches start from. */
  readonly base: string
  /** Days after which a base counts as too old to start from without a warning. */
  readonly baseMaxAgeDays: number
  readonly vm: VmDefaults
  readonly plan: PlanDefaults
  readonly tune: TuneDefaults
  readonly bake: BakeDefaults
  readonly check: CheckDefaults
}

export interface CheckDefaults {
  /** Findings that are of no matter in this project: reasons by id. */
  readonly allow: Readonly<Record<string, string>>
}

/** A key that only an outside command can use. */
export interface SigningDefaults {
  /** Gets the bytes on its standard input, prints the Ed25519 signature: 64 raw bytes or base64. Never through a shell. */
  readonly command: readonly string[]
  /** The public key: base64 SPKI DER, or the name of a .pub file in the keys folder. */
  readonly key: string
}

export interface BakeDefaults {
  /** What bakes; `auto` takes the fastest that can. */
  readonly engine: 'auto' | 'container' | 'vm'
  /** Most bytes, as stored, that an image may add to its base; undefined for no limit. */
  readonly maxGrowthBytes: number | undefined
  /** How often an image is launched before it is published; what is recorded is the median. */
  readonly verifyLaunches: number
}

/** How hosts reach and authenticate to the store. */
export interface HostAccess {
  /** `http(s)://host[:port]/bucket[/prefix]` as hosts see it; undefined to derive it from the store. */
  readonly endpoint: string | undefined
  readonly auth: HostAuth
  /** What hosts fetch with; undefined for the agent's own requests. */
  readonly client?: HostClient
  readonly region: string
  /** Names of environment variables that hold the hosts' static keys. */
  readonly accessKeyEnv: string
  readonly secretKeyEnv: string
  /** What hosts are told that they are, e.g. `db`, for conditions in recipes; sorted, each once. */
  readonly tags: readonly string[]
  /** Where hosts fetch secrets from, by name: `file:/path`, `ssm:/name`, … Never the values. */
  readonly secrets?: Readonly<Record<string, string>>
}

/** Clients for object storage that hosts can be told to use. */
export type HostClient = 'awscli' | 'rclone' | 's3cmd'

/** What each of them cannot do, though the agent's own requests can. */
export const beyondClients: Readonly<Record<HostClient, readonly HostAuth[]>> = {
  awscli: ['presigned'],
  rclone: ['presigned'],
  s3cmd: ['presigned', 'anonymous'],
}

export type HostAuth = 'static' | 'instance-role' | 'presigned' | 'anonymous'

/** What the cache may take up; what is in use at the moment is never removed for it. */
export interface CacheLimits {
  /** Bytes of kept states of bakes; undefined for 20 GiB or a fifth of the file system, whichever is less. */
  readonly maxBytes: number | undefined
  /** Bytes of packages that guests downloaded. */
  readonly packagesMaxBytes: number
}

export interface VmDefaults {
  readonly memoryMiB: number
  readonly cpus: number
  readonly accelerator: 'auto' | 'kvm' | 'tcg'
}

/**
 * What a plan is to reach. `balanced`: launches saved against bakes, bytes and upkeep. `fastest`: launch-to-ready as short
 * as baking makes it. `smallest`: the fewest bytes that bring most of that. `target`: the fewest that reach a launch-to-ready.
 */
export type Objective = 'balanced' | 'fastest' | 'smallest' | 'target'

/** What the user says about plans; what is absent gets a default that may depend on the objective. */
export interface PlanDefaults {
  /** A step is worth baking for its own sake from this many seconds of median wall time … */
  readonly minSavingSeconds?: number
  /** … and this share (0 to 1) of launch-to-ready. */
  readonly minShare?: number
  readonly objective?: Objective
  /** Launch-to-ready to reach, seconds; only with objective `target`. */
  readonly targetSeconds?: number
  /** Most bytes, as stored, that the steps may add to the image. */
  readonly maxImageGrowthBytes?: number
  /** Instead of the count from the reports. */
  readonly launchesPerDay?: number
  /** Seconds by which a GiB more, as stored, delays a launch; instead of what the images' launches show. */
  readonly secondsPerGiB?: number
  /** Seconds from a change of the recipe until the image has it. */
  readonly rebakeSeconds?: number
  /** What a second of a bake weighs against a second of a launch. */
  readonly bakeWeight?: number
  readonly prices?: Prices
}

/** What things cost, in one currency. */
export interface Prices {
  readonly currency: string
  /** An hour of a host that is starting. */
  readonly launchHour: number
  /** An hour of the machine that bakes. */
  readonly bakeHour: number
  /** A GiB of stored image for a month. */
  readonly storageGiBMonth: number
}

/** Which boot tunings a bake applies; `parbake plan` shows them. */
export interface TuneDefaults {
  /** `default`: those that change nothing but speed. `deeper`: all. */
  readonly level: 'none' | 'default' | 'deeper'
  /** Only these of them; undefined for all. */
  readonly only: readonly string[] | undefined
  readonly except: readonly string[]
}
