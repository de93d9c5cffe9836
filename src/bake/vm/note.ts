import { z } from 'zod'

/** What a saved state needs besides its files to go on. */
const noteSchema = z.object({
  /** What the machine really ran under, after a fall-back too: a state of one is no state of the other. */
  accelerator: z.enum(['kvm', 'tcg']),
  virtualSizeBytes: z.number().int().positive(),
})

export type StateNote = Readonly<z.infer<typeof noteSchema>>

/** Reads back what `keep` gave. */
export function parseNote(value: unknown): StateNote {
  return noteSchema.parse(value)
}
