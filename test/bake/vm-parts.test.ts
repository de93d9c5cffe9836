import { createServer, type Socket } from 'node:net'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { createLayerDisk, diskIn, mediumBytes, writePaddedMedium, writeThin } from '../../src/bake/vm/disks.ts'
import { Driver } from '../../src/bake/vm/driver.ts'
import { directKernel, hostCpu } from '../../src/bake/vm/fingerprint.ts'
import { connectTerminal, joinTerminal, terminalArgument } from '../../src/bake/vm/terminal.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { sha256File, type Sha256 } from '../../src/util/sha256.ts'
import { LineLog } from '../../src/vm/line-log.ts'
import { bakeJob } from './vm-job.ts'

const context = { reporter: silentReporter, signal: new AbortController().signal }
const mib = 1024 * 1024

test.each([
  [0, 16],
  [13 * mib, 16],
  [14 * mib, 64],
  [62 * mib - 4, 64],
  [62 * mib, 256],
  [900 * mib, 1024],
])('a bundle of %i bytes goes on a medium of %i MiB', (length, size) => {
  const bundle = { sha256: '', bytes: { length } as Buffer }
  const base = { name: '', digest: '', path: '' }
  expect(mediumBytes({ bundle, channelText: 'text', base })).toBe(size * mib)
})

test('a RAM disk that was made ready has room on the medium', () => {
  const bundle = { sha256: '', bytes: { length: 0 } as Buffer }
  const ready = { kernel: '', initrd: '', arguments: '', of: '', asTuned: true }
  expect(mediumBytes({ bundle, channelText: 'text', base: { name: '', digest: '', path: '', ready } })).toBe(64 * mib)
})

test('the medium has its full size, whatever is on it', async () => {
  await using folder = await tempDir('test-medium')
  const base = { name: 'none', digest: 'f'.repeat(64) as Sha256, path: '/nowhere' }
  const job = await bakeJob(base, [{ name: 'one', script: 'true' }])
  const path = join(folder.path, 'medium.iso')
  await writePaddedMedium(path, job, context)
  expect((await stat(path)).size).toBe(16 * mib)
  const { stdout } = await run('xorriso', ['-indev', path, '-find', '/', '-type', 'f'])
  expect(stdout).toContain(`/bundles/tiny/${job.bundle.sha256}.tar.gz`)
  expect(stdout).toContain('/seal.sh')
})

const cpu = (mhz: string, flags: string) =>
  `processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: X\ncpu MHz\t\t: ${mhz}\nflags\t\t: ${flags}\n\nprocessor\t: 1\n`

test('a host’s processor is known by its features, not by its clock', () => {
  expect(hostCpu(cpu('1000', 'fpu sse'))).toBe(hostCpu(cpu('3000', 'fpu sse')))
  expect(hostCpu(cpu('1000', 'fpu sse'))).not.toBe(hostCpu(cpu('1000', 'fpu sse avx')))
})

describe('the driver', () => {
  /** A guest that answers each question with these lines; `left` are what it was not asked. */
  function guest(script: readonly (readonly [question: string, ...answers: string[]])[]) {
    const log = new LineLog()
    const left = [...script]
    const driver = new Driver({
      get channelCount() {
        return log.count
      },
      sendChannelLine(line) {
        const [question, ...answers] = left.shift() ?? ['nothing']
        expect(line).toBe(question)
        for (const answer of answers) log.push(Buffer.from(`${answer}\n`))
      },
      waitForChannelLine: (pattern, seconds, from) =>
        log.waitFor(pattern, Math.min(seconds * 1000, 200), () => new Error('late'), from),
    })
    return { driver, log }
  }

  test('takes only what came after the question for its answer', async () => {
    const { driver } = guest([
      ['settle', 'settled'],
      ['settle', 'failed the disk is full'],
      ['tune a,b', 'tuning'],
      ['tuned', 'tuned'],
      ['seal web-1', 'sealed'],
      ['settle'],
    ])
    await driver.settle()
    await expect(driver.settle()).rejects.toMatchObject({
      code: 'bake-failed',
      message: 'the bake failed: the disk is full',
    })
    await driver.tune(['a', 'b'])
    await driver.tuned()
    await driver.seal('web-1')
    await expect(driver.settle()).rejects.toThrow('late')
  })

  test('tells the time and the cache', async () => {
    const { driver } = guest([
      ['clock 1795169700.500', 'clock'],
      ['proxy http://10.0.2.2:3142', 'proxy'],
      ['proxy -', 'proxy'],
    ])
    await driver.clock(1_795_169_700_500)
    await driver.proxy('http://10.0.2.2:3142')
    await driver.proxy(undefined)
  })

  test('a step that ends without a report, or with half a one, is a failed bake', async () => {
    const { driver } = guest([
      ['run a', 'step-start a', 'failed the medium is gone'],
      ['run b', 'done'],
      ['run c', 'report {"v":1', 'done'],
    ])
    await expect(driver.run('a')).rejects.toThrow('the medium is gone')
    await expect(driver.run('b')).rejects.toThrow('step b ended without a report')
    await expect(driver.run('c')).rejects.toThrow('malformed report')
  })

  test('a boot that fails says why', async () => {
    const { driver, log } = guest([])
    log.push(Buffer.from('failed cloud-init did not finish\nbooted\n'))
    await expect(driver.booted()).rejects.toThrow('cloud-init did not finish')
  })
})

describe('disks', () => {
  const size = 8 * mib

  /** Writes 4 KiB blocks of one byte each: `[block, byte]`. */
  async function fill(disk: string, blocks: readonly (readonly [number, number])[]): Promise<void> {
    const commands = blocks.flatMap(([block, byte]) => ['-c', `write -q -P ${byte} ${block * 4096} 4096`])
    await run('qemu-io', ['-f', 'qcow2', ...commands, disk])
  }

  test('a chain becomes one thin file over the base, and the layers stay as they are', async () => {
    await using folder = await tempDir('test-thin')
    const base = join(folder.path, 'base.qcow2')
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', base, String(size)])
    await fill(base, [...[0, 1, 2, 3, 40].map((block) => [block, 1] as const)])
    const [low, middle, top] = ['low', 'middle', 'top'].map((name) => join(folder.path, name)) as [
      string,
      string,
      string,
    ]
    await fill(await createLayerDisk(low, base, size, context), [
      [1, 2],
      [20, 2],
      [21, 2],
    ])
    await fill(await createLayerDisk(middle, diskIn(low), size, context), [
      [20, 3],
      [2, 1],
    ])
    await createLayerDisk(top, diskIn(middle), size, context)
    await run('qemu-io', [
      ...['-f', 'qcow2', '-d', 'unmap'],
      ...['-c', `discard ${21 * 4096} 4096`, '-c', `discard ${40 * 4096} 4096`],
      diskIn(top),
    ])
    const layers = [base, diskIn(low), diskIn(middle)]
    const before = await Promise.all(layers.map((path) => sha256File(path)))
    const target = join(folder.path, 'thin.qcow2')
    await writeThin({ top: diskIn(top), base, target, virtualSizeBytes: size }, context)
    const { stdout } = await run('qemu-img', ['info', '--output=json', target])
    expect(JSON.parse(stdout)).toMatchObject({ 'full-backing-filename': base, 'virtual-size': size })
    await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'qcow2', target, diskIn(top)])
    const map = JSON.parse((await run('qemu-img', ['map', '--output=json', target])).stdout) as {
      start: number
      length: number
      depth: number
    }[]
    const own = map.filter(({ depth }) => depth === 0).map(({ start, length }) => [start / 4096, length / 4096])
    // Block 2 was written with what the base has; block 21 is zero in both; block 40 was the base's and is gone.
    expect(own).toEqual([
      [1, 1],
      [20, 1],
      [40, 1],
    ])
    expect(await Promise.all(layers.map((path) => sha256File(path)))).toEqual(before)
  })
})

describe('the terminal', () => {
  test.each([
    [{ rows: 50, columns: 132 }, 'xterm-256color', 'ttyS1 50 132 xterm-256color'],
    [{}, 'vt100', 'ttyS1 24 80 vt100'],
    [{}, 'x; reboot', 'ttyS1 24 80 linux'],
  ])('%j as %s is %s', (size, term, expected) => {
    expect(terminalArgument(size, term)).toBe(expected)
  })

  /** A guest's serial port: what it got, and a way to say something. */
  async function serialPort(folder: string) {
    const path = join(folder, 'shell')
    let received = ''
    let guest: Socket | undefined
    const server = createServer((socket) => {
      guest = socket
      socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
    })
    await new Promise<void>((resolve) => server.listen(path, resolve))
    return {
      path,
      say: (text: string) => guest?.write(text),
      received: () => received,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
    }
  }

  test('input waits for the shell’s first word, and its end leaves the shell', async () => {
    await using folder = await tempDir('test-terminal')
    await using port = await serialPort(folder.path)
    const input = new PassThrough()
    const output = new PassThrough()
    const socket = await connectTerminal(port.path)
    let leave = () => {}
    const joined = joinTerminal(socket, { input, output }, new Promise<void>((resolve) => (leave = resolve)))
    input.end('echo hello')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(port.received()).toBe('')
    port.say('$ ')
    await expect.poll(port.received).toBe('echo hello\nexit\n')
    leave()
    await joined
    expect(String(output.read())).toBe('$ ')
    expect(input.listenerCount('data')).toBe(0)
  })

  test('Ctrl-] leaves a terminal, which is as it was then', async () => {
    await using folder = await tempDir('test-terminal')
    await using port = await serialPort(folder.path)
    const modes: boolean[] = []
    const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (mode: boolean) => modes.push(mode) })
    const output = new PassThrough()
    const socket = await connectTerminal(port.path)
    const joined = joinTerminal(socket, { input: input as unknown as NodeJS.ReadStream, output }, new Promise(() => {}))
    await expect.poll(() => port.say('# ')).not.toBe(undefined)
    await expect.poll(() => input.listenerCount('data')).toBe(1)
    input.write('top\r\u001drest')
    await joined
    await expect.poll(port.received).toBe('top\r')
    expect(modes).toEqual([true, false])
  })

  test('a machine that is gone is an error', async () => {
    await expect(connectTerminal('/nowhere/shell')).rejects.toMatchObject({ code: 'bake-failed' })
  })
})

test.each([
  ['tcg', ' mitigations=off tsc=reliable'],
  ['kvm', ''],
] as const)('the kernel of a bake under %s', (accelerator, more) => {
  const ready = { kernel: '/k', initrd: '/i', arguments: 'root=/dev/vda1 ro', of: '1 2', asTuned: true }
  expect(directKernel(ready, accelerator)).toEqual({
    kernel: '/k',
    initrd: '/i',
    arguments: `root=/dev/vda1 ro quiet cryptomgr.notests fsck.mode=skip${more}`,
  })
})
