import type { SourceLocation } from '../errors.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'
import type { Carried, Imported, ImportedFile, ImportedParam, ImportedStep, NotCarried, StepDraft } from './model.ts'
import { slug } from './slug.ts'

/** Longest script that stands in recipe.yaml itself, in lines. */
const inlineLines = 10

/** Takes what the readers of the formats find, in the order in which it is to run. */
export class Collector {
  readonly #drafts: StepDraft[] = []
  readonly #files = new Map<string, ImportedFile>()
  readonly #params = new Map<string, ImportedParam>()
  readonly #carried: Carried[] = []
  readonly #notCarried: NotCarried[] = []

  /** Adds a step; returns the name it got. */
  step(draft: StepDraft): string {
    const name = unused(slug(draft.name) || 'step', (candidate) =>
      this.#drafts.some((other) => other.name === candidate),
    )
    this.#drafts.push({ ...draft, name })
    return name
  }

  /** Adds a `script` step, its text in a file of its own where it is long. Returns the name it got. */
  script(draft: Omit<StepDraft, 'keys'>, text: string, keys: Readonly<Record<string, unknown>> = {}): string {
    const body = text.endsWith('\n') ? text : `${text}\n`
    if (body.split('\n').length - 1 <= inlineLines) {
      return this.step({ ...draft, keys: { type: 'script', ...keys, run: body } })
    }
    const path = this.file(`scripts/${slug(draft.name) || 'step'}.sh`, Buffer.from(body), true)
    return this.step({ ...draft, keys: { type: 'script', ...keys, file: path } })
  }

  /** Adds a file of the recipe folder; returns its path. A name that is taken gets a number. */
  file(wanted: string, content: Buffer, executable = false): string {
    const dot = wanted.lastIndexOf('.')
    const [stem, end] = dot > wanted.lastIndexOf('/') + 1 ? [wanted.slice(0, dot), wanted.slice(dot)] : [wanted, '']
    const path = unused(stem, (candidate) => this.#takes(`${candidate}${end}`, content)) + end
    this.#files.set(path, { path, content, executable })
    return path
  }

  /** Adds a parameter, once. */
  param(param: ImportedParam): void {
    this.#params.set(param.name, param)
  }

  carried(at: SourceLocation, what: string, steps: readonly string[], note?: string): void {
    this.#carried.push({ at, what, steps, ...(note === undefined ? {} : { note }) })
  }

  notCarried(at: SourceLocation, what: string, why: string, hint?: string): void {
    this.#notCarried.push({ at, what, why, ...(hint === undefined ? {} : { hint }) })
  }

  result(): Imported {
    return {
      params: [...this.#params.values()],
      steps: withNeeds(this.#drafts),
      files: [...this.#files.values()].toSorted((a, b) => compareCodeUnits(a.path, b.path)),
      carried: this.#carried.toSorted(byPlace),
      notCarried: this.#notCarried.toSorted(byPlace),
    }
  }

  #takes(path: string, content: Buffer): boolean {
    const there = this.#files.get(path)
    return there !== undefined && !there.content.equals(content)
  }
}

function unused(name: string, isTaken: (name: string) => boolean): string {
  let candidate = name
  for (let count = 2; isTaken(candidate); count += 1) candidate = `${name.slice(0, 59)}-${count}`
  return candidate
}

function byPlace(a: { readonly at: SourceLocation }, b: { readonly at: SourceLocation }): number {
  return compareCodeUnits(a.at.file, b.at.file) || (a.at.line ?? 0) - (b.at.line ?? 0)
}

/**
 * Says what steps need where that is less than all earlier ones: a step that nothing waits for must not keep later ones out
 * of images. Only what does not follow from the needs of others is named.
 */
function withNeeds(drafts: readonly StepDraft[]): ImportedStep[] {
  const reach = new Map<string, ReadonlySet<string>>()
  return drafts.map((draft, index) => {
    const { apart: _apart, plain = false, ...step } = draft
    const earlier = drafts.slice(0, index)
    // What no image holds may as well wait for all that is about the host.
    const waitsForAll = draft.when === 'instance' && draft.apart === undefined
    const needed = earlier.filter(({ apart }) => waitsForAll || apart === undefined || (apart === 'plain' && !plain))
    const reached = new Set<string>()
    const needs: string[] = []
    for (const { name } of needed.toReversed()) {
      if (reached.has(name)) continue
      needs.unshift(name)
      reached.add(name)
      for (const further of reach.get(name) ?? []) reached.add(further)
    }
    reach.set(draft.name, reached)
    return needed.length === earlier.length ? step : { ...step, needs }
  })
}
