import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { hasCode } from '../errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { compareCodeUnits } from '../util/canonical-json.ts'

const fileName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/, 'use letters, digits, ".", "_" and "-" only')

/** A launch as the host that started QEMU measured it: the guest cannot see its own firmware's time. */
export const launchRecordSchema = z.object({
  /** The run id of the report of the launch's first converge. */
  run: fileName,
  recipe: fileName,
  /** Image id, '' for a plain base. */
  image: z.string(),
  /** Name or digest of the base. */
  base: z.string(),
  /** `kvm` or `tcg`. */
  accelerator: z.string().min(1),
  /** Seconds on the host's clock from the start of QEMU until the guest was ready. */
  launchSeconds: z.number().nonnegative(),
  /** Seconds on the host's clock until the guest's kernel started, as its first lines on the console tell. */
  firmwareSeconds: z.number().nonnegative().optional(),
  /** The same moment in seconds since the guest's kernel started, from the report. */
  readyUptime: z.number().nonnegative(),
  /** When QEMU was started: ISO 8601, UTC. */
  at: z.iso.datetime(),
})

export type LaunchRecord = z.infer<typeof launchRecordSchema>

/** Writes `<stateDir>/launches/<recipe>/<run>.json` and returns its path. Throws ZodError for a bad record. */
export async function recordLaunch(stateDir: string, record: LaunchRecord): Promise<string> {
  const checked = launchRecordSchema.parse(record)
  const path = join(stateDir, 'launches', checked.recipe, `${checked.run}.json`)
  await writeFileAtomic(path, `${JSON.stringify(checked, null, 2)}\n`)
  return path
}

/** All launch records of a recipe, oldest first. Broken files are left out: they only refine what reports say. */
export async function readLaunches(stateDir: string, recipe: string): Promise<readonly LaunchRecord[]> {
  const folder = join(stateDir, 'launches', recipe)
  const names = await readdir(folder).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  const records: LaunchRecord[] = []
  for (const name of names.filter((each) => each.endsWith('.json'))) {
    const record = parseRecord(await readFile(join(folder, name), 'utf8'))
    if (record?.recipe === recipe) records.push(record)
  }
  return records.toSorted((a, b) => compareCodeUnits(a.at, b.at) || compareCodeUnits(a.run, b.run))
}

function parseRecord(text: string): LaunchRecord | undefined {
  try {
    return launchRecordSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
