import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '../../src/system/run.ts'
import { findTool } from '../../src/system/tools.ts'

/** What must be in an image, by path: its content, or its size in bytes. */
type Expected = Readonly<Record<string, { readonly content: string } | { readonly size: number }>>

/** What the six steps leave. */
export function workloadResult(dataMb: number): Expected {
  const zeros = createHash('sha256')
  const chunk = Buffer.alloc(1024 * 1024)
  for (let mb = 0; mb < 200; mb += 1) zeros.update(chunk)
  return {
    '/srv/bench/index.html': { content: 'hello from the bench\n' },
    '/srv/bench/checksum': { content: `${zeros.digest('hex')}  -\n` },
    // The number of primes below five million.
    '/srv/bench/primes': { content: '348513\n' },
    '/srv/bench/data.bin': { size: dataMb * 1024 * 1024 },
  }
}

const installed = ['/usr/sbin/nginx', '/usr/bin/gcc', '/usr/lib/python3/dist-packages', '/usr/local/bin/bench-primes']
const mustBeGone = ['/etc/ssh/ssh_host_ed25519_key', '/etc/ssh/ssh_host_rsa_key', '/var/lib/cloud/instance']

/**
 * Looks into an image without booting or mounting it, so that no contender is measured for an image that lacks something.
 * Throws with what is wrong.
 */
export async function checkContents(
  disk: string,
  expected: Expected,
  signal: AbortSignal,
  mustBeThere: readonly string[] = installed,
): Promise<void> {
  const raw = join(dirname(disk), 'contents.raw')
  try {
    await run('qemu-img', ['convert', '-O', 'raw', disk, raw], { signal })
    const fileSystem = `${raw}?offset=${await rootOffset(raw, signal)}`
    const ask = async (request: string) => {
      const debugfs = (await findTool('debugfs')) ?? 'debugfs'
      const { stdout, stderr } = await run(debugfs, ['-R', request, fileSystem], { signal, allowFailure: true })
      return { stdout, missing: stderr.includes('File not found') }
    }
    const wrong: string[] = []
    for (const [path, want] of Object.entries(expected)) {
      if ('content' in want) {
        const { stdout } = await ask(`cat ${path}`)
        if (stdout.trimEnd() !== want.content.trimEnd()) wrong.push(`${path} holds '${stdout.slice(0, 100)}'`)
      } else {
        const size = Number(/Size: (\d+)/.exec((await ask(`stat ${path}`)).stdout)?.[1] ?? -1)
        if (size !== want.size) wrong.push(`${path} has ${size} bytes`)
      }
    }
    for (const path of mustBeThere) if ((await ask(`stat ${path}`)).missing) wrong.push(`${path} is missing`)
    for (const path of mustBeGone) if (!(await ask(`stat ${path}`)).missing) wrong.push(`${path} was left`)
    if (wrong.length > 0) throw new Error(`the image is not what it should be: ${wrong.join('; ')}`)
  } finally {
    await rm(raw, { force: true })
  }
}

/** Bytes before the largest partition. */
async function rootOffset(raw: string, signal: AbortSignal): Promise<number> {
  const { stdout } = await run((await findTool('sfdisk')) ?? 'sfdisk', ['--json', raw], { signal })
  const { partitiontable } = JSON.parse(stdout) as {
    partitiontable: { sectorsize?: number; partitions: readonly { start: number; size: number }[] }
  }
  const [largest] = partitiontable.partitions.toSorted((a, b) => b.size - a.size)
  if (largest === undefined) throw new Error(`${raw} has no partitions`)
  return largest.start * (partitiontable.sectorsize ?? 512)
}
