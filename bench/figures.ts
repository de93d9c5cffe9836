/** Middle of the sorted values; the mean of the middle two of an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle]
  if (upper === undefined) throw new RangeError('the median of nothing')
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** One row of a bench: what, its median, its range, its ratio to the first row. */
export function figureRows(groups: ReadonlyMap<string, readonly number[]>, unit: string): string {
  const [reference] = [...groups.values()].map(median)
  return [...groups]
    .map(([name, values]) => {
      const middle = median(values)
      const range = `${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)}`
      const ratio = reference === undefined ? '' : `  ${(middle / reference).toFixed(2)} times the first`
      return `${name.padEnd(28)} ${middle.toFixed(2).padStart(8)} ${unit} (${range}, ${values.length} runs)${ratio}`
    })
    .join('\n')
}

/** A positive whole number from the command line, or the default. */
export function countArgument(argument: string | undefined, fallback: number): number {
  const count = Number(argument ?? fallback)
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`'${argument}' is no count of runs`)
  return count
}
