/** Which keys a value may have. Alternatives of a value are taken together: what one of them allows is allowed. */
export interface KeyShape {
  /** By name; 0 where nothing is said about what is below. */
  readonly keys?: Readonly<Record<string, KeyShape | 0>>
  /** By regular expression, for keys that are no name of `keys`. */
  readonly patterns?: Readonly<Record<string, KeyShape | 0>>
  /** Of a list's items. */
  readonly items?: KeyShape
  /** Other keys are allowed too. */
  readonly open?: true
}

export interface UnknownKey {
  readonly key: string
  /** Where it stands, e.g. `write_files[0]`. */
  readonly path: string
  /** What could stand there. */
  readonly known: readonly string[]
}

/** The first key of a value that its shape does not have, or undefined. `path` is where the value stands. */
export function findUnknownKey(value: unknown, shape: KeyShape | 0, path: string): UnknownKey | undefined {
  if (shape === 0 || typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) {
    const { items = 0 } = shape
    return firstOf(value, (item, index) => findUnknownKey(item, items, `${path}[${index}]`))
  }
  const { keys = {}, patterns = {}, open = false } = shape
  // A list or a text was expected: which type a value has is for TypeScript to check.
  if (shape.keys === undefined && shape.patterns === undefined) return undefined
  return firstOf(Object.entries(value), ([key, member]) => {
    const pattern = Object.keys(patterns).find((text) => new RegExp(text).test(key))
    const below = Object.hasOwn(keys, key) ? keys[key] : pattern === undefined ? undefined : patterns[pattern]
    if (below !== undefined) return findUnknownKey(member, below, `${path}.${key}`)
    return open ? undefined : { key, path, known: Object.keys(keys) }
  })
}

function firstOf<T>(items: readonly T[], find: (item: T, index: number) => UnknownKey | undefined) {
  for (const [index, item] of items.entries()) {
    const found = find(item, index)
    if (found !== undefined) return found
  }
  return undefined
}
