export const stopSignals = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const
export type StopSignal = (typeof stopSignals)[number]

/**
 * What is interrupted: `cold` runs every step, `warm` goes on from the step cache with a changed last step; both write a
 * file. `publish` is a warm bake that launches the image and publishes it.
 */
export type BakeKind = 'cold' | 'warm' | 'publish'

/** Where one bake is cut short. */
export interface Point {
  readonly kind: BakeKind
  readonly stopSignal: StopSignal
  /** Share of a whole bake of that kind, above 0 and below 1. */
  readonly share: number
}

/** Spreads the points of each kind evenly; every kind gets every signal. Pure. */
export function pointOf(index: number, { points, publishEvery }: { points: number; publishEvery: number }): Point {
  const publishes = publishEvery > 0 && index % publishEvery === publishEvery - 1
  // Counts within its kind, so that neither share nor signal go in step with the kind.
  const before = publishEvery > 0 ? Math.floor(index / publishEvery) : 0
  const publishing = publishEvery > 0 ? Math.floor(points / publishEvery) : 0
  const place = publishes ? before : Math.floor((index - before) / 2)
  const others = points - publishing
  const kind = publishes ? 'publish' : (index - before) % 2 === 0 ? 'cold' : 'warm'
  const count = kind === 'publish' ? publishing : kind === 'cold' ? Math.ceil(others / 2) : Math.floor(others / 2)
  const turn = kind === 'warm' ? place + 1 : place
  return { kind, stopSignal: stopSignals[turn % stopSignals.length] ?? 'SIGINT', share: (place + 0.5) / count }
}

/** Steps that write something and take a while, so that there is an inside to be interrupted in. */
export function recipeText(change: number): string {
  const step = (name: string, run: string) =>
    `  - name: ${name}\n    type: script\n    bake: always\n    run: |\n      ${run.replaceAll('\n', '\n      ')}\n`
  return [
    'name: interrupted\nsteps:\n',
    step('first', 'mkdir -p /srv/interrupted\nhead -c 8000000 /dev/urandom >/srv/interrupted/first\nsleep 2'),
    step('second', 'head -c 8000000 /dev/urandom >/srv/interrupted/second\nsleep 1'),
    step('last', `echo ${change} >/srv/interrupted/last\nhead -c 4000000 /dev/urandom >/srv/interrupted/data\nsleep 1`),
  ].join('')
}
