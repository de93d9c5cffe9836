import type { z } from 'zod'
import type { ParamValue, RenderedFile } from '../recipe/model.ts'
import type { YamlPath } from '../util/yaml.ts'

/** Reports a finding; `path` is relative to the step's mapping in recipe.yaml. */
export type ReportProblem = (path: YamlPath, message: string, hint?: string) => void

/** What a step type may use while it renders. Whatever is wrong is reported, never thrown. */
export interface RenderContext {
  readonly params: Readonly<Record<string, ParamValue>>
  readonly report: ReportProblem
  /** A UTF-8 text file of the recipe folder, named by the value at `path`; undefined where a problem was reported. */
  readText(path: YamlPath, relative: string): Promise<string | undefined>
  /**
   * A file of the recipe folder, or all files of a folder, named by the value at `path`: bytes as they are, paths relative to
   * the recipe folder, sorted; undefined where a problem was reported.
   */
  readFiles(path: YamlPath, relative: string): Promise<readonly RenderedFile[] | undefined>
  /**
   * The text with its `{{params}}` filled in; undefined where a problem was reported. `path` is where the text stands in
   * recipe.yaml, or where its file is named when `file` is given.
   */
  fill(text: string, path: YamlPath, file?: string): Promise<string | undefined>
}

/** What a type adds to a step; environment and inputs are the same for all types. */
export interface RenderedParts {
  /** Executable text, shebang first. */
  readonly script: string
  /** Files beside the step's inputs. */
  readonly files: readonly RenderedFile[]
}

/**
 * What a step makes and uses, as far as its keys say so: for `parbake check`, which reads scripts by itself. Paths are
 * absolute.
 */
export interface StepEffects {
  /** Files and folders that it writes. */
  readonly writes?: readonly string[]
  /** Files and folders that must be there before. */
  readonly reads?: readonly string[]
  /** Users and groups that it makes. */
  readonly accounts?: readonly string[]
  /** Users and groups that must be there before. */
  readonly usesAccounts?: readonly string[]
  /** Debian packages that it installs, as written. */
  readonly packages?: readonly string[]
  /** systemd units that must be there before. */
  readonly usesUnits?: readonly string[]
  /** The key that holds the user's own script. */
  readonly script?: { readonly key: string; readonly kind: 'text' | 'file' }
}

/** What a step type needs on the host; it comes with a step of its own, so that its cost is measured and can be baked. */
export interface Software {
  /** Name of that step. */
  readonly step: string
  readonly description: string
  /** What a `packages` step takes under `install`. */
  readonly install: readonly unknown[]
}

/** A step type, erased of its own spec: what the registry holds. */
export interface StepType {
  /** The value of `type` in recipe.yaml, and part of every digest. */
  readonly name: string
  /** One line for help and documentation. */
  readonly summary: string
  readonly schema: z.ZodObject
  /** Steps of this type use the host's package manager, so that two of them never run at the same time. */
  readonly packageManager?: boolean
  /**
   * Reports what the schema does not see: rules between keys, missing files, unknown parameters. Gets the mapping as the
   * user wrote it, whether or not it fits the schema, so that all problems are found at once.
   */
  check(raw: Readonly<Record<string, unknown>>, context: RenderContext): Promise<void>
  /** Undefined where the mapping does not fit the schema or a problem was reported; reports nothing that `check` does not. */
  render(raw: unknown, context: RenderContext): Promise<RenderedParts | undefined>
  /** Nothing where the mapping does not fit the schema. */
  effects(raw: unknown): StepEffects
  /** Why a step of these keys cannot be baked, as in "it …"; undefined where it can, or does not fit the schema. */
  runtimeOnly(raw: unknown): string | undefined
  /** What must be installed before a step of these keys runs; undefined for nothing, or where it does not fit the schema. */
  requiresSoftware(raw: unknown): Software | undefined
}

/** Makes a StepType of a typed definition. */
export function defineStepType<Schema extends z.ZodObject>(definition: {
  readonly name: string
  readonly summary: string
  readonly schema: Schema
  readonly packageManager?: boolean
  readonly check?: StepType['check']
  readonly render: (spec: z.infer<Schema>, context: RenderContext) => Promise<RenderedParts | undefined>
  readonly effects?: (spec: z.infer<Schema>) => StepEffects
  readonly runtimeOnly?: (spec: z.infer<Schema>) => string | undefined
  readonly requiresSoftware?: (spec: z.infer<Schema>) => Software | undefined
}): StepType {
  const { check = async () => {}, schema, render, effects, runtimeOnly, requiresSoftware } = definition
  // All that is asked about a step goes by its keys.
  const known = new WeakMap<object, z.infer<Schema> | undefined>()
  const fitting = (raw: unknown): z.infer<Schema> | undefined => {
    if (typeof raw !== 'object' || raw === null) return undefined
    if (!known.has(raw)) known.set(raw, schema.safeParse(raw).data)
    return known.get(raw)
  }
  return {
    ...definition,
    check,
    render: async (raw, context) => {
      const spec = fitting(raw)
      return spec && render(spec, context)
    },
    effects: (raw) => {
      const spec = fitting(raw)
      return (spec && effects?.(spec)) ?? {}
    },
    runtimeOnly: (raw) => {
      const spec = fitting(raw)
      return spec && runtimeOnly?.(spec)
    },
    requiresSoftware: (raw) => {
      const spec = fitting(raw)
      return spec && requiresSoftware?.(spec)
    },
  }
}

/** Reports unless exactly one of the keys is there. */
export function checkOneOf(
  raw: Readonly<Record<string, unknown>>,
  keys: readonly [string, string],
  report: ReportProblem,
): void {
  const given = keys.filter((key) => raw[key] !== undefined)
  const [first, second] = keys
  if (given.length === 0) report([], `must have '${first}' or '${second}'`)
  if (given.length === 2) report([second], `cannot stand beside '${first}'`, `remove '${first}' or '${second}'`)
}
