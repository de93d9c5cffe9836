import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { InterruptedError } from '../../src/errors.ts'
import { lockFile } from '../../src/system/file-lock.ts'
import { tempDir } from '../../src/system/temp.ts'

const never = new AbortController().signal

test('the second waits, says so once, and gets the lock when the first is done', async () => {
  await using folder = await tempDir('test-lock')
  const path = join(folder.path, 'sub', '.lock')
  const order: string[] = []
  const first = await lockFile(path, never, () => order.push('first waits'))
  const waiting = deferred()
  const second = lockFile(path, never, () => {
    order.push('second waits')
    waiting.resolve()
  }).then(async (lock) => {
    order.push('second has it')
    await lock[Symbol.asyncDispose]()
  })
  await waiting.promise
  order.push('first is done')
  await first[Symbol.asyncDispose]()
  await second
  expect(order).toEqual(['second waits', 'first is done', 'second has it'])
})

test('a wait can be interrupted', async () => {
  await using folder = await tempDir('test-lock')
  const path = join(folder.path, '.lock')
  await using _ = await lockFile(path, never, () => {})
  const controller = new AbortController()
  await expect(lockFile(path, controller.signal, () => controller.abort())).rejects.toThrow(InterruptedError)
})

test('a holder killed with SIGKILL frees the lock', async () => {
  await using folder = await tempDir('test-lock')
  const path = join(folder.path, '.lock')
  const repository = join(import.meta.dirname, '..', '..')
  const holder = spawn(
    process.execPath,
    [join(repository, 'node_modules', '.bin', 'tsx'), join(import.meta.dirname, 'lock-holder.ts'), path],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [line] = (await once(holder.stdout, 'data')) as [Buffer]
  process.kill(Number(line.toString()), 'SIGKILL')
  await using _ = await lockFile(path, AbortSignal.timeout(30_000), () => {})
})

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => (resolve = done))
  return { promise, resolve }
}
