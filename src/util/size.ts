/** Says what `parseSize` wants. */
export const sizeRule = 'must be bytes or a text like "5GiB"'

const factors: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** Whole bytes of `1048576`, `"5GiB"`, `"1.5G"`, `"200 MiB"`; units are binary. Undefined where the text is no size. */
export function parseSize(value: number | string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([KMGT])(?:iB)?|B)?$/.exec(String(value).trim())
  if (match === null) return undefined
  const bytes = Math.floor(Number(match[1]) * (factors[match[2] ?? ''] ?? 1))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
