import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeJson, type StateEntry } from './entry.ts'
import { creditOf, type Candidate } from './eviction.ts'

const ledgerSchema = z.object({
  v: z.literal(1),
  inflation: z.number().nonnegative(),
  uses: z.record(z.string(), z.object({ credit: z.number(), usedAt: z.iso.datetime(), count: z.number().int() })),
})

/** Who was used when, for the choice of what goes first: `<cacheDir>/steps/ledger.json`. May be lost at any time. */
export type Ledger = Readonly<z.infer<typeof ledgerSchema>>

const emptyLedger: Ledger = { v: 1, inflation: 0, uses: {} }

/** Reads it; one that cannot be read is as good as none. */
export async function readLedger(path: string): Promise<Ledger> {
  try {
    const result = ledgerSchema.safeParse(JSON.parse(await readFile(path, 'utf8')))
    return result.success ? result.data : emptyLedger
  } catch {
    return emptyLedger
  }
}

/** Replaces it. */
export async function writeLedger(path: string, ledger: Ledger): Promise<void> {
  await writeJson(path, ledger)
}

/** Notes that states were used now. */
export function withUses(ledger: Ledger, used: readonly StateEntry[], now: Date): Ledger {
  const uses = { ...ledger.uses }
  for (const entry of used) {
    uses[entry.id] = {
      credit: creditOf(entry, ledger.inflation),
      usedAt: now.toISOString(),
      count: (ledger.uses[entry.id]?.count ?? 0) + 1,
    }
  }
  return { ...ledger, uses }
}

/** Forgets all but these. */
export function onlyOf(ledger: Ledger, ids: ReadonlySet<string>): Ledger {
  return { ...ledger, uses: Object.fromEntries(Object.entries(ledger.uses).filter(([id]) => ids.has(id))) }
}

/** An entry as the choice of victims sees it. */
export function candidateOf(entry: StateEntry, ledger: Ledger): Candidate & { readonly usedAt: string } {
  const use = ledger.uses[entry.id]
  return {
    id: entry.id,
    key: entry.key,
    parent: entry.parent,
    sizeBytes: entry.sizeBytes,
    createdAt: entry.createdAt,
    credit: use?.credit ?? creditOf(entry, 0),
    usedAt: use?.usedAt ?? entry.createdAt,
  }
}
