import { expect, test } from 'vitest'
import { interruptBakes } from '../../bench/bake/interruptions.ts'
import { runCli } from '../support/cli.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sharedCache } from '../vm/support.ts'

/** As bench/bake/interrupt.ts, which does fifty, with six points: each way to end a bake, with and without kept states. */

const engine = process.getuid?.() === 0 ? 'container' : 'vm'

test(`a bake that is interrupted (${engine}) leaves nothing published, running or mounted, and the next one works`, async () => {
  await using folder = await tempDir('interrupt')
  const env = { ...process.env, PARBAKE_CACHE: sharedCache } as Record<string, string>
  const built = await runCli(['base', 'build', 'debian-12', '--json'], { cwd: folder.path, env })
  expect(built).toMatchObject({ exitCode: 0 })
  const { path } = JSON.parse(built.stdout) as { path: string }
  const { interruptions, afterwards } = await interruptBakes({
    folder: folder.path,
    basePath: path,
    engine,
    points: 6,
    publishEvery: 0,
    checkEvery: 6,
    signal: new AbortController().signal,
    say: () => {},
  })
  expect(interruptions.map(({ stopSignal }) => stopSignal).toSorted()).toEqual([
    'SIGINT',
    'SIGINT',
    'SIGKILL',
    'SIGKILL',
    'SIGTERM',
    'SIGTERM',
  ])
  expect(interruptions.filter(({ wrong }) => wrong.length > 0)).toEqual([])
  expect(afterwards).toEqual([])
})
