/** One of several ways to do something. */
export interface Way {
  readonly name: string
}

export interface Choice<T extends Way> {
  /** Undefined where every way has an obstacle. */
  readonly way: T | undefined
  /** Of the ways before it, in words: "vm cannot be used: qemu-img is missing". */
  readonly obstacles: readonly string[]
}

/** The wanted way, or with `auto` the first, that has no obstacle; one that was asked for is never replaced by another. */
export async function firstUsable<T extends Way>(
  ways: readonly T[],
  wanted: T['name'] | 'auto',
  obstacleOf: (way: T) => Promise<string | undefined>,
): Promise<Choice<T>> {
  const obstacles: string[] = []
  for (const way of ways) {
    if (wanted !== 'auto' && way.name !== wanted) continue
    const obstacle = await obstacleOf(way)
    if (obstacle === undefined) return { way, obstacles }
    obstacles.push(`${way.name} cannot be used: ${obstacle}`)
  }
  return { way: undefined, obstacles }
}
