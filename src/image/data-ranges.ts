import { z } from 'zod'
import type { Context } from '../context.ts'
import { mergeRanges, type ByteRange } from '../disk/ranges.ts'
import { run } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import type { DiskFormat } from './disk-format.ts'

const mapSchema = z.array(
  z.object({ start: z.number().int(), length: z.number().int(), zero: z.boolean(), data: z.boolean() }),
)

/** Where a disk holds data, holes and zeros left out, its backing files included. */
export async function dataRanges(
  context: Pick<Context, 'reporter' | 'signal'>,
  disk: { readonly path: string; readonly format: DiskFormat },
): Promise<readonly ByteRange[]> {
  const { stdout } = await run(
    await needTool('qemu-img'),
    ['map', '--output=json', '-U', '-f', disk.format, disk.path],
    { purpose: 'see where a disk holds data', reporter: context.reporter, signal: context.signal },
  )
  return mergeRanges(mapSchema.parse(JSON.parse(stdout)).filter(({ zero, data }) => data && !zero))
}
