import { execFile, spawn } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { gzipSync } from 'node:zlib'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { squeezeShell } from '../../src/bundle/squeeze-shell.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { parseInventory } from '../../src/verify/inventory.ts'
import { inventoryScript, InventoryReceiver, Probe } from '../../src/verify/probe.ts'
import { probeVendorData } from '../../src/verify/vm-host.ts'
import { LineLog } from '../../src/vm/line-log.ts'
import { shells, type ShellName } from '../support/agent.ts'

/** bootstrap/inventory.sh on this machine, looking at one folder; users, packages and settings are the machine's own. */

const run = promisify(execFile)
const names = Object.keys(shells) as ShellName[]

async function tree(folder: string): Promise<void> {
  await mkdir(join(folder, 'sub'))
  await writeFile(join(folder, 'plain'), 'text')
  await writeFile(join(folder, 'tab\tand\nline'), '')
  await writeFile(Buffer.concat([Buffer.from(`${folder}/bytes-`), Buffer.from([0xff])]), '')
  await writeFile(join(folder, 'sub', 'tool'), 'x')
  await chmod(join(folder, 'sub', 'tool'), 0o4750)
  await symlink('no\nwhere', join(folder, 'link'))
  await run('mkfifo', [join(folder, 'fifo')])
}

describe.each(names)('inventory.sh under %s', (name) => {
  const [command = 'sh', ...args] = shells[name]

  test('says what is there', async () => {
    await using dir = await tempDir('inventory-test')
    const folder = join(dir.path, 'root')
    await mkdir(folder)
    await tree(folder)
    const script = join(dir.path, 'inventory.sh')
    // As hosts get it.
    await writeFile(script, squeezeShell(inventoryScript()))
    const env = { ...process.env, PARBAKE_VERIFY_RUN: join(dir.path, 'run'), PARBAKE_VERIFY_ROOTS: folder }
    const { stdout } = await run(command, [...args, script, 'print'], { env, maxBuffer: 64 * 1024 * 1024 })
    const { items, identity } = parseInventory(stdout, 'this machine')
    const files = new Map([...items.file].map(([path, item]) => [path.slice(folder.length), item]))
    expect([...files.keys()].toSorted()).toEqual(
      ['', '/bytes-\udcff', '/fifo', '/link', '/plain', '/sub', '/sub/tool', '/tab\tand\nline'].toSorted(),
    )
    expect(files.get('/plain')).toMatchObject({ type: 'file', content: `4 bytes, sha256 ${sha256('text')}` })
    expect(files.get('/sub/tool')).toMatchObject({ mode: '4750' })
    expect(files.get('/link')).toMatchObject({ type: 'link', content: 'no\nwhere' })
    expect(files.get('/fifo')).toMatchObject({ type: 'fifo' })
    expect(items.user.get('root')).toMatchObject({ id: '0:0' })
    expect(stdout).not.toMatch(/\$(?:y|6|2b)\$/)
    expect(items.sysctl.size).toBeGreaterThan(100)
    expect(identity.get('hostname')).toMatch(/^[0-9a-f]{64}$/)
  })

  test('is spoken to', async () => {
    await using dir = await tempDir('inventory-test')
    const script = join(dir.path, 'inventory.sh')
    await writeFile(script, squeezeShell(inventoryScript()))
    await writeFile(join(dir.path, 'empty'), '')
    const [inFifo, outFifo] = [join(dir.path, 'in'), join(dir.path, 'out')]
    await run('mkfifo', [inFifo, outFifo])
    const env = { ...process.env, PARBAKE_VERIFY_RUN: join(dir.path, 'run'), PARBAKE_VERIFY_ROOTS: dir.path }
    const child = spawn(command, [...args, script, 'serve', inFifo, outFifo], { env, stdio: 'ignore' })
    // Shells open and close the FIFOs' other ends as a host does.
    const host = spawn('sh', ['-c', 'exec 3>"$1" <"$2"; cat >&3 <&4 & cat', 'host', inFifo, outFifo], {
      stdio: ['ignore', 'pipe', 'ignore', 'ignore', 'pipe'],
    })
    try {
      const log = new LineLog((line) => probe.push(line))
      const probe = new Probe('test')
      createInterface({ input: host.stdout! }).on('line', (line) => log.push(Buffer.from(`${line}\n`)))
      const commands = host.stdio[4] as NodeJS.WritableStream
      await probe.attach({
        get channelCount() {
          return log.count
        },
        sendChannelLine: (line) => void commands.write(`${line}\n`),
        waitForChannelLine: (pattern, seconds, from) =>
          log.waitFor(pattern, Math.min(seconds, 50) * 1000, () => new Error(`no ${String(pattern)}`), from),
      })
      expect(await probe.report()).toBeUndefined()
      expect((await probe.inventory()).items.file.has(join(dir.path, 'empty'))).toBe(true)
    } finally {
      host.kill('SIGKILL')
      child.kill('SIGKILL')
    }
  })
})

describe('InventoryReceiver', () => {
  test('takes what stands between the marks, and only a whole one', () => {
    const receiver = new InventoryReceiver()
    expect(() => receiver.text('base')).toThrow('the inventory of the host from the base did not arrive whole')
    const text = gzipSync('inventory').toString('base64')
    for (const line of ['settled', 'print-begin', text.slice(0, 8), text.slice(8), '', 'print-end']) receiver.push(line)
    expect(receiver.text('base')).toBe('inventory')
    for (const line of ['print-begin', text.slice(0, 20), 'print-end']) receiver.push(line)
    expect(() => receiver.text('base')).toThrow('did not arrive whole')
  })
})

describe('the vendor-data', () => {
  test('is a boothook that every shell can parse, with the whole probe in it', async () => {
    const text = probeVendorData()
    expect(text.startsWith('#cloud-boothook\n#!/bin/sh\n')).toBe(true)
    expect(text.split('\nPARBAKE_INVENTORY_END\n').length).toBe(2)
    await using dir = await tempDir('inventory-test')
    const path = join(dir.path, 'hook')
    await writeFile(path, text)
    for (const name of names) {
      const [command = 'sh', ...args] = shells[name]
      await run(command, [...args, '-n', path])
    }
  })
})
