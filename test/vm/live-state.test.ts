import { randomBytes } from 'node:crypto'
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { sha256File } from '../../src/util/sha256.ts'
import { tcg } from '../../src/vm/accelerator.ts'
import { loadState, saveState, switchDisk } from '../../src/vm/live-state.ts'
import { diskNode } from '../../src/vm/qemu-args.ts'
import { startVm, type Vm } from '../../src/vm/vm.ts'

/** Real machines without an operating system: their firmware fills some of the memory and says so on no disk to boot from. */

let folder: TempDir
beforeEach(async () => {
  // QEMU lets a shell read the path.
  folder = await tempDir("test-live it's; $(here)")
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path('base.qcow2'), '64M'])
  await overlay('first.qcow2', 'base.qcow2')
  return () => folder[Symbol.asyncDispose]()
})

const path = (name: string) => join(folder.path, name)

async function overlay(name: string, backing: string): Promise<string> {
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-u', '-b', path(backing), '-F', 'qcow2', path(name), '64M'])
  return path(name)
}

function machine(disk: string, incoming = false): Promise<Vm> {
  return startVm({
    ...{ disk: path(disk), memoryMiB: 64, cpus: 1, accelerator: tcg('test'), consoleLog: path('console.log') },
    ...{ channel: true, shell: true, incoming, timeoutSeconds: 60 },
  })
}

const isRunning = async (vm: Vm) => ((await vm.qmp.execute('query-status')) as { running: boolean }).running

async function memoryOf(vm: Vm): Promise<string> {
  const filename = path('memory.raw')
  await vm.qmp.execute('pmemsave', { val: 0, size: 64 * 1024 * 1024, filename })
  return sha256File(filename)
}

/** Writes or discards as the guest would, through its drive. */
async function io(vm: Vm, line: string): Promise<void> {
  const [drive] = (await vm.qmp.execute('query-block')) as { qdev: string }[]
  const command = `qemu-io -d ${drive?.qdev} "${line}"`
  expect(await vm.qmp.execute('human-monitor-command', { 'command-line': command })).toBe('')
}

const write = (vm: Vm, offset: number, byte: number) => io(vm, `write -P ${byte} ${offset} 4096`)

/** True where 4 KiB of the disk, its backing files included, hold nothing but this byte. */
async function holds(disk: string, offset: number, byte: number): Promise<boolean> {
  const { stdout } = await run('qemu-io', ['-r', '-f', 'qcow2', '-c', `read -P ${byte} ${offset} 4096`, path(disk)], {
    allowFailure: true,
  })
  return !stdout.includes('Pattern verification failed')
}

test('two machines go on from one saved moment, and neither changes it', async () => {
  let saved: string
  {
    await using vm = await machine('first.qcow2')
    await write(vm, 0, 1)
    await vm.qmp.execute('stop')
    saved = await memoryOf(vm)
    await switchDisk(vm.qmp, await overlay('second.qcow2', 'first.qcow2'), diskNode, 'next')
    await saveState(vm.qmp, path('memory.zst'), 10)
    expect(await isRunning(vm)).toBe(false)
    await vm.qmp.execute('cont')
    expect(await isRunning(vm)).toBe(true)
    await write(vm, 4096, 2)
    await vm.qmp.execute('stop')
    await switchDisk(vm.qmp, await overlay('third.qcow2', 'second.qcow2'), 'next', 'last')
    await saveState(vm.qmp, path('later.zst'), 10)
    await vm.qmp.execute('cont')
    await write(vm, 8192, 3)
    await vm.qmp.execute('quit')
    expect(await vm.exited).toEqual({ code: 0, signal: null })
  }
  expect(await Promise.all(['first', 'second', 'third'].map((name) => holds(`${name}.qcow2`, 4096, 2)))).toEqual([
    ...[false, true, true],
  ])
  const before = await Promise.all(['first.qcow2', 'memory.zst'].map((name) => sha256File(path(name))))
  await Promise.all([overlay('a.qcow2', 'first.qcow2'), overlay('b.qcow2', 'first.qcow2')])
  {
    await using a = await machine('a.qcow2', true)
    await using b = await machine('b.qcow2', true)
    for (const vm of [a, b]) {
      await loadState(vm.qmp, path('memory.zst'), 10)
      expect(await isRunning(vm)).toBe(false)
      expect(await memoryOf(vm)).toBe(saved)
      await vm.qmp.execute('cont')
      expect(await isRunning(vm)).toBe(true)
    }
    await write(a, 4096, 7)
    await write(b, 4096, 8)
    for (const vm of [a, b]) await vm.qmp.execute('quit')
    await Promise.all([a.exited, b.exited])
  }
  expect(await holds('a.qcow2', 0, 1)).toBe(true)
  expect(await holds('a.qcow2', 4096, 7)).toBe(true)
  expect(await holds('b.qcow2', 4096, 8)).toBe(true)
  expect(await Promise.all(['first.qcow2', 'memory.zst'].map((name) => sha256File(path(name))))).toEqual(before)
})

test('a discard after the switch leaves nothing of the data in the new file', async () => {
  await using vm = await machine('first.qcow2')
  await vm.qmp.execute('stop')
  const options = ['-o', 'cluster_size=4k', path('second.qcow2'), '64M']
  await run('qemu-img', [
    ...['create', '-q', '-f', 'qcow2', '-b', path('first.qcow2'), '-F', 'qcow2'],
    ...options,
    '-u',
  ])
  await switchDisk(vm.qmp, path('second.qcow2'), diskNode, 'next')
  await vm.qmp.execute('cont')
  await io(vm, 'write -P 0x5a 0 8M')
  const full = (await stat(path('second.qcow2'))).blocks
  // All but every other block of 4 KiB in the first 64.
  for (let block = 0; block < 16; block += 2) await io(vm, `discard ${block * 4096} 4096`)
  await io(vm, 'discard 65536 8323072')
  await vm.qmp.execute('quit')
  await vm.exited
  const after = (await stat(path('second.qcow2'))).blocks
  expect(full * 512).toBeGreaterThan(8_000_000)
  expect(after * 512).toBeLessThan(1_000_000)
  const bytes = await run('grep', ['-c', '-a', '-o', 'ZZZZ', path('second.qcow2')], { allowFailure: true })
  expect(bytes.exitCode).toBe(0)
  const { stdout } = await run('sh', ['-c', 'tr -dc Z <"$1" | wc -c', 'sh', path('second.qcow2')])
  expect(Number(stdout)).toBeGreaterThanOrEqual(8 * 4096)
  expect(Number(stdout)).toBeLessThan(9 * 4096)
})

test('a state that cannot be written is an error, leaves no file, and the machine can go on', async () => {
  await using vm = await machine('first.qcow2')
  await vm.qmp.execute('stop')
  await expect(saveState(vm.qmp, path('missing/memory.zst'), 10)).rejects.toMatchObject({ code: 'vm-state' })
  await vm.qmp.execute('cont')
  expect(await isRunning(vm)).toBe(true)
  expect((await readdir(folder.path)).filter((name) => name.includes('zst'))).toEqual([])
})

test('a damaged state is an error at once', async () => {
  await writeFile(path('memory.zst'), randomBytes(4096))
  await using vm = await machine('first.qcow2', true)
  await expect(loadState(vm.qmp, path('memory.zst'), 10)).rejects.toMatchObject({ code: 'vm-state' })
})
