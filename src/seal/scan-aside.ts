import { canWorkAside, workAside } from '../util/aside.ts'
import { scanRaw, type RawScan, type RawScanResult } from './raw-scan.ts'

/** `scanRaw` one after the other, in a thread of their own. */
export async function scanAside(
  scans: readonly Omit<RawScan, 'signal'>[],
  signal: AbortSignal,
): Promise<readonly RawScanResult[]> {
  if (canWorkAside(import.meta.url)) return workAside(new URL('scan-worker.js', import.meta.url), scans, signal)
  const results: RawScanResult[] = []
  for (const scan of scans) results.push(await scanRaw({ ...scan, signal }))
  return results
}
