import type { Sha256 } from '../util/sha256.ts'
import type { CalendarSchedule } from './cron.ts'

/** When a step runs on a host; README, "When a step runs". */
export type When = 'change' | 'instance' | 'boot' | 'always'

/** What the user lets the planner do with a step. */
export type BakeChoice = 'auto' | 'always' | 'never'

export type ParamValue = string | number | boolean

/** A file that a step finds in its working directory. */
export interface RenderedFile {
  /** Relative, with `/`, inside the step's folder. */
  readonly path: string
  readonly executable: boolean
  readonly content: Buffer
}

/**
 * What a step comes down to, whatever its type: one executable, its environment and the files beside it. All of it is in
 * the step digest.
 */
export interface RenderedStep {
  /** Content of the executable, shebang first. */
  readonly script: string
  /** Values hold no newline and no NUL. */
  readonly env: Readonly<Record<string, string>>
  /** Sorted by path, code-unit order. */
  readonly files: readonly RenderedFile[]
  /** Lines `FACT OP VALUE[,VALUE…]` that must all hold on a host that runs it; absent where every host does. */
  readonly conditions?: readonly string[]
  /** Names of environment variables that the host fetches itself, sorted; absent where there are none. */
  readonly secrets?: readonly string[]
}

/** What changes how a step is handled but not what it does. None of it is in the step digest. */
export interface StepHints {
  /** Unique in the recipe, [a-z0-9-]. */
  readonly name: string
  readonly description?: string
  readonly when: When
  readonly bake: BakeChoice
  /** Why the type of the step keeps it from being baked, as in "it …"; bake is `never` then. */
  readonly runtimeOnly?: string
  /** `vm`: can be baked in a virtual machine only, for it touches kernel, boot loader or hardware. */
  readonly requires?: 'vm'
  readonly timeoutSeconds: number
  /** Further tries after the first failure. */
  readonly retries: number
  /** Uses the package manager: no two such steps run at a time. */
  readonly packages?: boolean
  /** The host reboots after the step, and goes on behind it. */
  readonly reboot?: boolean
  /** Report the slowest commands of the script, where a shell runs it. */
  readonly trace?: boolean
}

/** One unit of provisioning, rendered, with its digest. */
export interface Step extends StepHints {
  /** The registry name of the step type; in the digest. */
  readonly type: string
  readonly rendered: RenderedStep
  /** Names of the steps that must have run before; their digests are in this step's digest. */
  readonly needs: readonly string[]
  readonly digest: Sha256
}

/** When hosts converge by the calendar. */
export interface RecipeSchedule extends CalendarSchedule {
  /** Each host waits for a time of its own below this. */
  readonly splaySeconds: number
}

/** A recipe, read, validated, rendered with its parameters, in the order in which its steps run. */
export interface Recipe {
  readonly name: string
  readonly description?: string
  /** Absolute path of the recipe folder. */
  readonly folder: string
  /** Absolute path of recipe.yaml. */
  readonly file: string
  readonly params: Readonly<Record<string, ParamValue>>
  /** Minutes between two converges by cron, 1 to 1440. */
  readonly everyMinutes: number
  /** Absent: every `everyMinutes`. */
  readonly schedule?: RecipeSchedule
  /** As many steps may run at a time, 1 to 99; absent: as many as the host has processors, at most 4. */
  readonly parallel?: number
  readonly steps: readonly Step[]
}
