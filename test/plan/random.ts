/** Needs of `size` items on earlier ones, in an order of indexes that is not theirs. */
export function randomNeeds(size: number, density: number, next: () => number): number[][] {
  const names = Array.from({ length: size }, (_, index) => index).toSorted(() => next() - 0.5)
  const needs: number[][] = Array.from({ length: size }, () => [])
  for (let at = 0; at < size; at += 1) {
    for (let before = 0; before < at; before += 1) {
      if (next() < density) needs[names[at] as number]?.push(names[before] as number)
    }
  }
  return needs
}

/** All closures of a few items, as bit masks. */
export function closuresOf(needs: readonly (readonly number[])[]): number[] {
  const masks: number[] = []
  for (let mask = 0; mask < 2 ** needs.length; mask += 1) {
    if (needs.every((each, item) => ((mask >> item) & 1) === 0 || each.every((need) => ((mask >> need) & 1) === 1))) {
      masks.push(mask)
    }
  }
  return masks
}

export function sumOfMask(values: readonly number[], mask: number): number {
  return values.reduce((sum, value, item) => sum + (((mask >> item) & 1) === 1 ? value : 0), 0)
}

export function maskOf(members: Uint8Array): number {
  return members.reduce((mask, member, item) => mask + (member === 1 ? 2 ** item : 0), 0)
}
