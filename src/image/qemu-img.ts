import { z } from 'zod'
import { UserError } from '../errors.ts'
import type { Reporter } from '../report/events.ts'
import { run, type RunOptions } from '../system/run.ts'
import { needTool } from '../system/tools.ts'
import { detectDiskFormat, type DiskFormat } from './disk-format.ts'

export interface ToolOptions {
  readonly signal?: AbortSignal
  readonly reporter?: Reporter
}

const infoSchema = z.object({
  format: z.string(),
  'virtual-size': z.number().int(),
  'actual-size': z.number().int(),
  'backing-filename': z.string().optional(),
  'full-backing-filename': z.string().optional(),
  snapshots: z.array(z.object({ name: z.string() })).optional(),
  'format-specific': z.object({ data: z.object({ 'compression-type': z.string().optional() }).optional() }).optional(),
})

export interface ImageInfo {
  readonly format: DiskFormat
  /** Size of the disk as the guest sees it. */
  readonly virtualSizeBytes: number
  /** Bytes that the file takes up on its file system. */
  readonly allocatedBytes: number
  readonly backingFile: string | undefined
  readonly snapshots: readonly string[]
  readonly compression: string | undefined
}

/** What qemu-img says about an image whose format we determined ourselves. */
export async function imageInfo(path: string, options: ToolOptions = {}): Promise<ImageInfo> {
  const format = await detectDiskFormat(path)
  const { stdout } = await qemuImg(['info', '--output=json', '-U', '-f', format, path], `read ${path}`, options)
  const info = infoSchema.parse(JSON.parse(stdout))
  return {
    format,
    virtualSizeBytes: info['virtual-size'],
    allocatedBytes: info['actual-size'],
    backingFile: info['full-backing-filename'] ?? info['backing-filename'],
    snapshots: (info.snapshots ?? []).map(({ name }) => name),
    compression: info['format-specific']?.data?.['compression-type'],
  }
}

/** Makes a qcow2 file that records what differs from `backing`, which must stay unchanged. Paths are absolute. */
export async function createOverlay(
  path: string,
  backing: string,
  sizeBytes?: number,
  options: ToolOptions = {},
): Promise<void> {
  const format = await detectDiskFormat(backing)
  await qemuImg(
    [
      'create',
      ...['-q', '-f', 'qcow2', '-b', backing, '-F', format],
      path,
      ...(sizeBytes === undefined ? [] : [String(sizeBytes)]),
    ],
    'create an overlay',
    options,
  )
}

/** Throws UserError when the qcow2 structures of an image are damaged. */
export async function checkImage(path: string, options: ToolOptions = {}): Promise<void> {
  const result = await qemuImg(['check', '-q', '-f', 'qcow2', path], `check ${path}`, options, { allowFailure: true })
  // 3 stands for clusters that are merely lost space.
  if (result.exitCode !== 0 && result.exitCode !== 3) {
    throw new UserError(`${path} is damaged:\n${result.stderr.trim() || result.stdout.trim()}`, {
      code: 'image-damaged',
    })
  }
}

async function qemuImg(args: readonly string[], purpose: string, options: ToolOptions, extra: RunOptions = {}) {
  return run(await needTool('qemu-img'), args, {
    purpose,
    ...(options.signal !== undefined && { signal: options.signal }),
    ...(options.reporter !== undefined && { reporter: options.reporter }),
    ...extra,
  })
}
