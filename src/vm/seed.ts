import { rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Context } from '../context.ts'
import { run } from '../system/run.ts'
import { tempDir } from '../system/temp.ts'
import { needTool } from '../system/tools.ts'

/** The documents of cloud-init's NoCloud data source. */
export interface Seed {
  readonly userData: string | Uint8Array
  /** Must hold an instance-id; a new one makes cloud-init take the boot for a new instance's first. */
  readonly metaData: string
  /** Left out, cloud-init uses DHCP on the first network card. */
  readonly networkConfig?: string
  readonly vendorData?: string
}

type ToolContext = Pick<Context, 'reporter' | 'signal'>

/** Writes an ISO image that NoCloud finds by its label. */
export async function writeSeedIso(path: string, seed: Seed, context: ToolContext): Promise<void> {
  await using folder = await tempDir('seed')
  const documents: Readonly<Record<string, string | Uint8Array | undefined>> = {
    'user-data': seed.userData,
    'meta-data': seed.metaData,
    'network-config': seed.networkConfig,
    'vendor-data': seed.vendorData,
  }
  for (const [name, content] of Object.entries(documents)) {
    if (content !== undefined) await writeFile(join(folder.path, name), content)
  }
  await writeDataIso(path, folder.path, 'cidata', context)
}

/** Writes an ISO image of a folder's files, with long names and modes, found in the guest by its label. */
export async function writeDataIso(path: string, folder: string, label: string, context: ToolContext): Promise<void> {
  const xorriso = await needTool('xorriso')
  // xorriso would add to an image that is there already.
  await rm(path, { force: true })
  await run(xorriso, ['-as', 'mkisofs', '-quiet', '-V', label, '-J', '-r', '-o', path, folder], {
    cwd: dirname(path),
    purpose: 'write an ISO image',
    reporter: context.reporter,
    signal: context.signal,
  })
}
