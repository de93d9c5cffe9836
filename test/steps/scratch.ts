import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RenderedParts } from '../../src/steps/types.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { shQuote } from '../../src/util/sh-quote.ts'
import { writeTree } from '../recipe/support.ts'

/** The shells that steps must work under. With `busybox` its applets are all there is on PATH, besides what a test puts there. */
export const shells = ['dash', 'bash', 'busybox'] as const

export type Shell = (typeof shells)[number]

/** Whether this process may make such systems. */
export const canScratch = process.getuid?.() === 0

export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface ScratchOptions {
  readonly shell?: Shell
  /** Added to the environment of steps, PATH included. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Runs commands (text, by sh) and rendered steps, one after the other, as root in a copy of this machine's file system that
 * forgets everything: memory over the root, in mount and process namespaces of its own. Steps run as the agent runs them. One outcome for each.
 */
export async function runInScratch(
  parts: readonly (string | RenderedParts)[],
  { shell = 'dash', env = {} }: ScratchOptions = {},
): Promise<readonly Outcome[]> {
  await using dir = await tempDir('scratch-root')
  const work = join(dir.path, 'work')
  for (const [index, part] of parts.entries()) {
    const folder = join(work, String(index))
    await mkdir(join(folder, 'files'), { recursive: true })
    await writeTree(folder, { 'run*': typeof part === 'string' ? part : part.script })
    const files = typeof part === 'string' ? [] : part.files
    await writeTree(
      join(folder, 'files'),
      Object.fromEntries(files.map((file) => [file.executable ? `${file.path}*` : file.path, file.content])),
    )
  }
  const path = shell === 'busybox' ? '/bb' : '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  const all = { HOME: '/root', LANG: 'C.UTF-8', PARBAKE_PHASE: 'runtime', PATH: path, ...env }
  const words = Object.entries(all).map(([name, value]) => `${name}=${value}`)
  const command = { dash: '/usr/bin/dash', bash: '/bin/bash', busybox: '/bb/sh' }[shell]
  const lines = parts.map((part, index) => {
    const run =
      typeof part === 'string' ? 'sh -eu ../run' : ['env -i', ...words.map(shQuote), command, '../run'].join(' ')
    const inside = `cd /parts/${index}/files && exec ${run}`
    return `chroot /mnt/root sh -c ${shQuote(inside)} </dev/null >${work}/${index}/out 2>${work}/${index}/err
echo $? >${work}/${index}/exit`
  })
  const driver = `set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
mount -t tmpfs tmpfs /mnt/root/run
mount -t tmpfs tmpfs /mnt/root/tmp
mkdir /mnt/root/parts /mnt/root/bb
mount --bind ${work} /mnt/root/parts
chroot /mnt/root /usr/bin/busybox --install -s /bb
set +e
${lines.join('\n')}
`
  await run('unshare', ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', 'sh', '-c', driver])
  return await Promise.all(
    parts.map(async (_, index): Promise<Outcome> => {
      const read = async (name: string) => (await readFile(join(work, String(index), name), 'utf8')).trimEnd()
      return { exitCode: Number(await read('exit')), stdout: await read('out'), stderr: await read('err') }
    }),
  )
}
