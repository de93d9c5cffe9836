import { access } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { needTool } from '../system/tools.ts'
import { shQuote } from '../util/sh-quote.ts'
import { diskOptions } from './qemu-args.ts'
import type { QmpClient, QmpEvent } from './qmp.ts'

/**
 * A running machine's memory and devices as a file, and its disk as a chain of qcow2 files of which only the last is
 * written to: with both, several machines can go on from one moment, at the same time and as often as wanted.
 * QEMU's own internal snapshots can be neither shared nor removed one by one.
 */

/** The bounds of one save or load in seconds under KVM; a busy machine without it may take ten times as long. */
const limitSeconds = 60

/** Bytes per second; QEMU's default is 128 MiB. */
const unlimitedBandwidth = 2 ** 40

type Qmp = Pick<QmpClient, 'execute' | 'onEvent' | 'closed'>

/**
 * Writes memory and devices of a stopped machine to a file, compressed. The machine stays stopped; `cont` lets it go on.
 * `path` appears when it is whole. Throws UserError where that fails, for want of disk space for example.
 */
export async function saveState(qmp: Qmp, path: string, timeFactor: number): Promise<void> {
  const part = `${path}.part`
  const zstd = await needTool('zstd', 'save the state of a virtual machine')
  await prepare(qmp)
  await migration(qmp, timeFactor, {
    execute: 'migrate',
    // QEMU lets a shell run this.
    uri: `exec:${shQuote(zstd)} -q -1 -T0 -f -o ${shQuote(part)} && mv ${shQuote(part)} ${shQuote(path)} || rm -f ${shQuote(part)}`,
  })
  // QEMU is done when it has handed over the last byte; the file is not.
  while (!(await exists(path))) {
    if (!(await exists(part)) && !(await exists(path))) throw failed('migrate', `${path} could not be written`)
    await sleep(3)
  }
}

/** Loads what `saveState` wrote into a machine that was started with `incoming`, and leaves it stopped. */
export async function loadState(qmp: Qmp, path: string, timeFactor: number): Promise<void> {
  const zstd = await needTool('zstd', 'load the state of a virtual machine')
  await prepare(qmp)
  await migration(qmp, timeFactor, {
    execute: 'migrate-incoming',
    // QEMU waits forever for the first byte of a pipe that ends without one, but sees that a word is no state.
    uri: `exec:${shQuote(zstd)} -q -dc ${shQuote(path)} || echo broken`,
  })
}

/**
 * Makes the machine write to another file from now on. `overlay` is a qcow2 file that names the present one, by an absolute
 * path, as its backing file; `from` and `to` are names of block nodes, `to` a new one. The present file is closed for
 * writing and never changed again.
 */
export async function switchDisk(qmp: Qmp, overlay: string, from: string, to: string): Promise<void> {
  await qmp.execute('blockdev-add', { ...diskOptions(overlay, to), backing: null })
  await qmp.execute('blockdev-snapshot', { node: from, overlay: to })
}

async function prepare(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'events', state: true }] })
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': unlimitedBandwidth })
}

/** Starts it and waits for its end. */
async function migration(
  qmp: Qmp,
  timeFactor: number,
  { execute, uri }: { readonly execute: 'migrate' | 'migrate-incoming'; readonly uri: string },
): Promise<void> {
  const seconds = limitSeconds * timeFactor
  let stop = () => {}
  let timer: NodeJS.Timeout | undefined
  const end = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`not done after ${seconds} s`), seconds * 1000)
    void qmp.closed.then(() => resolve('QEMU ended'))
    stop = qmp.onEvent((event) => {
      const status = statusOf(event)
      if (status === 'completed' || status === 'failed' || status === 'cancelled') resolve(status)
    })
  })
  try {
    await qmp.execute(execute, { uri })
    const status = await end
    if (status !== 'completed') throw failed(execute, (await reason(qmp)) ?? status)
  } finally {
    clearTimeout(timer)
    stop()
  }
}

function statusOf({ event, data }: QmpEvent): unknown {
  return event === 'MIGRATION' ? data?.['status'] : undefined
}

async function reason(qmp: Qmp): Promise<string | undefined> {
  const info = (await qmp.execute('query-migrate').catch(() => undefined)) as { 'error-desc'?: string } | undefined
  return info?.['error-desc']
}

function failed(command: 'migrate' | 'migrate-incoming', why: string): UserError {
  const what = command === 'migrate' ? 'saved' : 'loaded'
  return new UserError(`the state of the virtual machine could not be ${what}: ${why}`, { code: 'vm-state' })
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
