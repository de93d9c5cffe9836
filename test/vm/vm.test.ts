import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { InterruptedError } from '../../src/errors.ts'
import { run } from '../../src/system/run.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { tcg } from '../../src/vm/accelerator.ts'
import { startGuest, startVm, type VmOptions } from '../../src/vm/vm.ts'

let folder: TempDir
beforeEach(async () => {
  folder = await tempDir('test-vm')
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder.path, 'disk.qcow2'), '64M'])
  return () => folder[Symbol.asyncDispose]()
})

/** A machine that is never run: no boot, so it takes a moment only. */
function options(change: Partial<VmOptions> = {}): VmOptions {
  return {
    disk: join(folder.path, 'disk.qcow2'),
    memoryMiB: 64,
    cpus: 1,
    accelerator: tcg('test'),
    paused: true,
    consoleLog: join(folder.path, 'console.log'),
    timeoutSeconds: 60,
    ...change,
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('QMP answers, refuses with a reason, and sends events', async () => {
  await using vm = await startVm(options({ channel: true }))
  expect(await vm.qmp.execute('query-status')).toMatchObject({ running: false, status: 'prelaunch' })
  await expect(vm.qmp.execute('no-such-command')).rejects.toThrow(/refused 'no-such-command'/)
  const events: string[] = []
  const stopped = new Promise<void>((resolve) => {
    vm.qmp.onEvent(({ event }) => {
      events.push(event)
      if (event === 'STOP') resolve()
    })
  })
  await vm.qmp.execute('cont')
  await vm.qmp.execute('stop')
  await stopped
  expect(events).toContain('RESUME')
  await vm.qmp.execute('quit')
  expect(await vm.exited).toEqual({ code: 0, signal: null })
  await expect(vm.qmp.execute('query-status')).rejects.toThrow(/closed its control socket/)
})

test('disposing leaves no process and no socket', async () => {
  const before = (await readdir(tmpdir())).filter((name) => name.startsWith('parbake-vm-'))
  let pid: number
  {
    await using vm = await startVm(options())
    pid = vm.pid
    expect(isAlive(pid)).toBe(true)
  }
  expect(isAlive(pid)).toBe(false)
  const after = (await readdir(tmpdir())).filter((name) => name.startsWith('parbake-vm-'))
  expect(after.filter((name) => !before.includes(name))).toEqual([])
})

test('an abort ends the VM, and waits end with it', async () => {
  const controller = new AbortController()
  await using vm = await startVm(options({ signal: controller.signal }))
  const waiting = vm.waitForLine(/never/, 60)
  setTimeout(() => controller.abort(), 10)
  await expect(waiting).rejects.toThrow(InterruptedError)
  expect((await vm.exited).signal).toBe('SIGKILL')
})

test('a VM that runs too long is ended with an error that says so', async () => {
  await using vm = await startVm(options({ timeoutSeconds: 0.05 }))
  await expect(vm.waitForLine(/never/, 60)).rejects.toThrow(/ran longer than 0.5 s/)
})

test('what QEMU says when it cannot start is in the error', async () => {
  const broken = startVm(options({ disk: join(folder.path, 'missing.qcow2') }))
  await expect(broken).rejects.toThrow(/missing\.qcow2.*No such file/s)
})

test('QEMU missing is a clear error', async () => {
  const path = process.env['PATH']
  process.env['PATH'] = folder.path
  try {
    await expect(startVm(options())).rejects.toMatchObject({ code: 'tool-missing' })
  } finally {
    process.env['PATH'] = path
  }
})

test('a parent killed with SIGKILL takes its VM along', async () => {
  const program = join(import.meta.dirname, 'parent.ts')
  const tsx = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'tsx')
  const parent = spawn(process.execPath, [tsx, program, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const { pid, nodePid } = JSON.parse(line.toString()) as { pid: number; nodePid: number }
  expect(isAlive(pid)).toBe(true)
  process.kill(nodePid, 'SIGKILL')
  for (let tries = 0; tries < 200 && !(await isGone(pid)); tries += 1) await sleep(50)
  expect(await isGone(pid)).toBe(true)
})

/** Gone, or a zombie that nobody reaps in a container without init. */
async function isGone(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX')
  return /^State:\t[XZ]/m.test(status)
}

/** A disk whose boot sector prints to the first serial port and then does nothing for ever. */
async function loaderDisk(text: string): Promise<string> {
  const code = [
    ...[0xfa, 0xfc, 0x31, 0xc0, 0x8e, 0xd8], // cli; cld; xor ax, ax; mov ds, ax
    ...[0xbe, 0x16, 0x7c, 0xba, 0xf8, 0x03], // mov si, text; mov dx, 0x3f8
    ...[0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8], // each: lodsb; test al, al; jz end; out dx, al; jmp each
    ...[0xeb, 0xfe], // end: jmp end
  ]
  const sector = Buffer.alloc(512)
  Buffer.from([...code, ...Buffer.from(`${text}\0`)]).copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  const raw = join(folder.path, 'disk.raw')
  await writeFile(raw, Buffer.concat([sector, Buffer.alloc(1024 * 1024)]))
  await run('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, join(folder.path, 'disk.qcow2')])
  return join(folder.path, 'disk.qcow2')
}

test.each([
  ['starts again, once, where nothing comes after the boot loader', "  Booting `Linux'\r\n", 2],
  ['lets a kernel go on that speaks', "  Booting `Linux'\r\n[    0.000000] Linux version 6.1\r\n", 1],
])('%s', async (_, text, starts) => {
  const warnings: string[] = []
  const emit = (event: { readonly type: string }) => {
    if (event.type === 'warning') warnings.push(event.type)
  }
  const disk = await loaderDisk(text)
  const given = options({ disk, paused: false, hungSeconds: 4, reporter: { emit, close: () => {} } })
  await using vm = await startGuest(given)
  await vm.waitForLine(/Booting/, 6)
  expect(warnings).toHaveLength(starts - 1)
  expect((await readFile(given.consoleLog, 'utf8')).split('Booting')).toHaveLength(starts + 1)
})
