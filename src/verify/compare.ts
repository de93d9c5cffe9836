import { compareCodeUnits } from '../util/canonical-json.ts'
import { aspectsOf, kinds, missingUnit, type Aspect, type Inventory, type Item, type Kind } from './inventory.ts'

/** One thing that is not the same on two systems. */
export interface Difference {
  readonly kind: Kind
  readonly name: string
  readonly aspect: Aspect
  /** What the first system has; undefined where it lacks the thing. */
  readonly base: string | undefined
  readonly image: string | undefined
}

/** How many things of each kind two systems have together. */
export type Compared = Readonly<Record<Kind, number>>

/** Everything that differs, by kind, then by name. Kinds that one of the systems could not be asked for are left out. */
export function compare(base: Inventory, image: Inventory): readonly Difference[] {
  return comparedKinds(base, image).flatMap((kind) => compareKind(kind, base.items[kind], image.items[kind]))
}

/** Kinds that both systems could be asked for. */
export function comparedKinds(base: Inventory, image: Inventory): readonly Kind[] {
  return kinds.filter((kind) => !base.lacks.has(`${kind}s`) && !image.lacks.has(`${kind}s`))
}

/** How much was compared, so that nobody takes an empty comparison for a good one. */
export function countCompared(base: Inventory, image: Inventory): Compared {
  const compared = new Set(comparedKinds(base, image))
  const count = (kind: Kind) =>
    compared.has(kind) ? new Set([...base.items[kind].keys(), ...image.items[kind].keys()]).size : 0
  return Object.fromEntries(kinds.map((kind) => [kind, count(kind)])) as Record<Kind, number>
}

function compareKind(
  kind: Kind,
  base: ReadonlyMap<string, Item>,
  image: ReadonlyMap<string, Item>,
): readonly Difference[] {
  const names = [...new Set([...base.keys(), ...image.keys()])].toSorted(compareCodeUnits)
  return names.flatMap((name) => compareItem(kind, name, base.get(name), image.get(name)))
}

function compareItem(kind: Kind, name: string, base: Item | undefined, image: Item | undefined): readonly Difference[] {
  // A unit that is neither installed nor running is the same as one that nobody has heard of.
  const left: Item | undefined = base ?? (kind === 'unit' ? missingUnit : undefined)
  const right: Item | undefined = image ?? (kind === 'unit' ? missingUnit : undefined)
  if (left === undefined || right === undefined) {
    return [{ kind, name, aspect: 'existence', base: left && summary(left), image: right && summary(right) }]
  }
  const aspects: readonly Aspect[] = aspectsOf[kind]
  const differing = aspects.filter((aspect) => left[aspect] !== right[aspect])
  // Of a file that became a link there is no more to say.
  const told = differing.filter((aspect) => aspect === 'type' || !differing.includes('type'))
  return told.map((aspect) => ({ kind, name, aspect, base: left[aspect], image: right[aspect] }))
}

function summary(item: Item): string {
  return item.type ?? item.version ?? item.process ?? item.value ?? 'present'
}
