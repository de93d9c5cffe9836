/** Like `Promise.all`, but waits until all have ended, whichever fails; then throws the error of the first that did, in order. */
export async function allEnded<T extends readonly unknown[]>(
  promises: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(promises)
  return Promise.all(promises)
}
