import { random } from '../random.ts'

/** Numbers that are the same for the same seed, on every machine. */
export interface RandomNumbers {
  /** From 0 up to 1. */
  uniform(): number
  /** Of the standard normal distribution. */
  normal(): number
  /** Whole, from 0 up to `bound`. */
  below(bound: number): number
}

export function randomNumbers(seed: number): RandomNumbers {
  const uniform = random(seed)
  return {
    uniform,
    // Box and Muller; 1 - u is never zero.
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    below: (bound) => Math.floor(uniform() * bound),
  }
}
