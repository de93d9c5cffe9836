/** Numbers that are the same for the same seed, on every machine. */
export interface RandomNumbers {
  /** From 0 up to 1. */
  uniform(): number
  /** Of the standard normal distribution. */
  normal(): number
  /** Whole, from 0 up to `bound`. */
  below(bound: number): number
}

/** Mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough to spread test data. */
export function randomNumbers(seed: number): RandomNumbers {
  let state = seed >>> 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    uniform,
    // Box and Muller; 1 - u is never zero.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    below: (bound) => Math.floor(uniform() * bound),
  }
}
