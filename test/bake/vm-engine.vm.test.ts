import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildBase, type Base } from '../../src/base/index.ts'
import type { BakeSession, StartState } from '../../src/bake/engine.ts'
import { vmEngine } from '../../src/bake/vm/engine.ts'
import { VmSession } from '../../src/bake/vm/session.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Report } from '../../src/profile/report.ts'
import { plainReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { sha256File } from '../../src/util/sha256.ts'
import type { StepSpec } from '../support/agent.ts'
import { sharedCache } from '../vm/support.ts'
import { bakeJob } from './vm-job.ts'

/** One cold boot; everything after it goes on from what that kept. */

let folder: TempDir
let context: Context
let base: Base
/** Filled by the first test. */
let booted: StartState
let withFiles: StartState

const path = (name: string) => join(folder.path, name)
/** In two halves, for the step's own script stays in the image. */
const [marker, stays] = [halves(), halves()]

/**
 * 200 files of one block each, every other of which the next step deletes: in clusters larger than a block they would stay,
 * beside what is used. One is deleted by the step itself.
 */
const files: StepSpec = {
  name: 'files',
  script: `gone=${marker[0]}
gone="$gone"${marker[1]}
stays=${stays[0]}
stays="$stays"${stays[1]}
mkdir /srv/f
for i in $(seq 100); do
  for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $gone; done >/srv/f/gone-$i
  for j in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $stays; done >/srv/f/stay-$i
done
cp /srv/f/gone-1 /srv/f/gone-at-once
sync
rm /srv/f/gone-at-once`,
}
const breaks: StepSpec = { name: 'breaks', script: 'echo the reason is here; exit 7' }

beforeAll(async () => {
  const config = await loadConfig(import.meta.dirname)
  const reporter = plainReporter({ stream: process.stderr, verbose: false, quiet: false })
  const signal = new AbortController().signal
  base = await buildBase('debian-12', { config: { ...config, cacheDir: sharedCache }, reporter, signal })
  folder = await tempDir('test-vm-engine')
  context = { config: { ...config, cacheDir: path('cache') }, reporter, signal }
})

afterAll(() => folder[Symbol.asyncDispose]())

function halves(): [string, string] {
  return [randomBytes(12).toString('hex'), randomBytes(12).toString('hex')]
}

async function workFolder(name: string): Promise<string> {
  await mkdir(path(name))
  return path(name)
}

const outcomes = (report: Report) => report.steps.map((step) => [step.name, step.outcome])

function isAlive(session: BakeSession): Promise<boolean> {
  return session.runStep('-').then(
    () => true,
    () => false,
  )
}

test('a boot and its steps are kept; a failing step is reported and does not end the session', async () => {
  const job = await bakeJob(base, [files, breaks])
  expect(await vmEngine.obstacle(job, context)).toBe(undefined)
  const session = await vmEngine.open(job, { layer: path('layer-0'), work: await workFolder('work-0') }, context)
  {
    await using _ = session
    const first = await session.keep(path('layer-1'))
    booted = { folder: path('layer-0'), chain: [path('layer-0')], note: first.note }
    expect(outcomes(await session.runStep('files'))).toEqual([
      ['files', 'ran'],
      ['breaks', 'excluded'],
    ])
    const second = await session.keep(path('layer-2'))
    withFiles = { folder: path('layer-1'), chain: [path('layer-0'), path('layer-1')], note: second.note }
    for (const { sizeBytes } of [first, second]) {
      expect(sizeBytes).toBeGreaterThan(10_000_000)
      expect(sizeBytes).toBeLessThan(400_000_000)
    }
    const failed = await session.runStep('breaks')
    expect(failed.outcome).toBe('failed')
    expect(failed.steps[1]).toMatchObject({ outcome: 'failed', exit: 7, output: 'the reason is here\n' })
    // The first step's data is in the layer that was kept, and nowhere else.
    expect(await count(path('layer-1/disk.qcow2'), marker)).toBeGreaterThan(0)
    expect(await count(path('layer-2/disk.qcow2'), marker)).toBe(0)
  }
  expect(await isAlive(session)).toBe(false)
})

test('a mended step goes on from the kept state, beside another bake, sealed thin and clean', async () => {
  const kept = ['layer-0', 'layer-1'].flatMap((layer) => [`${layer}/disk.qcow2`, `${layer}/memory.zst`]).map(path)
  const before = await Promise.all(kept.map((file) => sha256File(file)))
  await using host = await clockServer()
  const mended: StepSpec = {
    name: 'mended',
    script: `set -eu
test "$(ls /srv/f | wc -l)" = 200
rm /srv/f/gone-*
read -r proxy </etc/apt/apt.conf.d/00parbake-bake
test "$proxy" = 'Acquire::http::Proxy "http://10.0.2.2:${host.port}";'
now=$(python3 -c 'import urllib.request; print(urllib.request.urlopen("http://10.0.2.2:${host.port}/").read().decode())')
skew=$(($(date +%s) - now))
test $skew -ge -5 && test $skew -le 5
getent hosts localhost`,
  }
  const job = await bakeJob(base, [files, mended])
  const options = { layer: path('layer-3'), work: await workFolder('work-3'), packageCache: { port: host.port } }
  const session = await vmEngine.open(job, { from: withFiles, ...options }, context)
  {
    await using _ = session
    {
      const other = { from: withFiles, layer: path('layer-4'), work: await workFolder('work-4') }
      await using beside = await vmEngine.open(await bakeJob(base, [files]), other, context)
      expect(outcomes(await beside.runStep('-'))).toEqual([['files', 'stamped']])
    }
    const report = await session.runStep('mended')
    expect(report.error).toBe('')
    expect(outcomes(report)).toEqual([
      ['files', 'stamped'],
      ['mended', 'ran'],
    ])
    expect(await shell(session, 'echo sum=$((40 + 2)); tty')).toMatch(/sum=42[^]*\/dev\/ttyS1/)
    expect(await session.seal({ imageId: 'tiny-1', thin: true })).toEqual({
      path: path('work-3/sealed.qcow2'),
      format: 'qcow2',
    })
  }
  expect(await Promise.all(kept.map((file) => sha256File(file)))).toEqual(before)
  await expectClean(path('work-3/sealed.qcow2'), path('layer-3/disk.qcow2'))
})

test('another recipe goes on from the booted base alone, and is sealed whole', async () => {
  const job = await bakeJob(base, [{ name: 'only', script: 'test ! -e /srv/f' }])
  expect(await vmEngine.fingerprint(job, context)).toEqual(
    await vmEngine.fingerprint(await bakeJob(base, [files]), context),
  )
  const options = { from: booted, layer: path('layer-5'), work: await workFolder('work-5') }
  await using session = await vmEngine.open(job, options, context)
  expect(outcomes(await session.runStep('only'))).toEqual([['only', 'ran']])
  const sealed = await session.seal({ imageId: 'tiny-2', thin: false })
  expect(sealed).toEqual({ path: path('work-5/sealed.qcow2'), format: 'qcow2' })
  await run('qemu-img', ['check', '-q', '-f', 'qcow2', sealed.path])
})

/** The thin file is one overlay on the base, equals the chain, and holds what stays but not what was deleted. */
async function expectClean(thin: string, top: string): Promise<void> {
  const { stdout } = await run('qemu-img', ['info', '--output=json', thin])
  expect(JSON.parse(stdout)).toMatchObject({ 'full-backing-filename': base.path })
  await run('qemu-img', ['compare', '-q', '-f', 'qcow2', '-F', 'qcow2', thin, top])
  await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', top, path('flat.qcow2')])
  for (const file of [thin, path('flat.qcow2')]) {
    expect([await count(file, stays), await count(file, marker)]).toEqual([100 * 20, 0])
  }
  expect(await count(top, marker)).toBe(0)
}

/** How often a text is in the raw bytes of a file. */
async function count(file: string, halves: readonly string[]): Promise<number> {
  const { stdout } = await run('sh', ['-c', 'grep -a -o -F -e "$2" "$1" | wc -l', 'sh', file, halves.join('')])
  return Number(stdout)
}

/** Types a line into a shell, then ends its input. */
async function shell(session: BakeSession, line: string): Promise<string> {
  if (!(session instanceof VmSession)) throw new Error('not a session of this engine')
  const input = new PassThrough()
  const output = new PassThrough()
  let shown = ''
  output.on('data', (chunk: Buffer) => (shown += chunk.toString()))
  input.end(`${line}\n`)
  await session.joinShell({ input, output })
  return shown
}

/** Serves the host's time in seconds on a free port of the loopback. */
async function clockServer() {
  const server = createServer((_request, response) => response.end(String(Math.floor(Date.now() / 1000))))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
