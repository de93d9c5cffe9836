export interface WorthInput {
  /** What it would take to redo, from the state before that was kept. */
  readonly secondsSinceLast: number
  /** What keeping takes now. */
  readonly keepSeconds: number
  /** What it takes up, or an estimate; 0 where that is unknown. */
  readonly sizeBytes: number
}

/** How likely a kept state is used again: bakes are repeated while a recipe is worked on, mostly from late states. */
const reuseChance = 0.5
/** Below that, looking it up and opening it again saves nothing that anyone would notice. */
const leastSeconds = 0.2
/** Bytes that one saved second may take up: a state that is larger would push out better ones. */
const bytesPerSecond = 1024 ** 3

/** Is a state worth keeping? Only if what it is likely to save is more than what keeping costs, in time and in space. */
export function worthKeeping({ secondsSinceLast, keepSeconds, sizeBytes }: WorthInput): boolean {
  return (
    secondsSinceLast >= leastSeconds &&
    secondsSinceLast * reuseChance > keepSeconds &&
    sizeBytes <= secondsSinceLast * bytesPerSecond
  )
}
