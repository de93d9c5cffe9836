import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { access, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { tempDir } from '../../src/system/temp.ts'
import { createBucket, type S3Account } from './s3.ts'

const execute = promisify(execFile)

/** A one-node Ceph RGW on loopback, objects in memory. */
export interface Ceph extends S3Account {
  createBucket(name: string): Promise<void>
  /** Another account, which owns nothing and may do what bucket policies allow it. */
  createUser(name: string): Promise<S3Account>
  /** Ends the daemons by pid, in the order rgw, osd, mon, and removes their folder. */
  stop(): Promise<void>
}

const programs = ['radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-osd', 'ceph-authtool', 'monmaptool', 'osdmaptool']

/** Set to leave the tests against Ceph out; they are then reported as skipped. */
export const cephSkipped = (process.env['PARBAKE_SKIP_CEPH'] ?? '') !== ''

/** Starts a fresh one; several can run side by side. Throws with what to install where Ceph is missing. */
export async function startCeph(): Promise<Ceph> {
  await requirePrograms()
  const dir = await tempDir('ceph')
  const daemons: ChildProcess[] = []
  const stop = async () => {
    // The gateway needs the others to end cleanly, and the object store the monitor.
    for (const daemon of daemons.toReversed()) await endDaemon(daemon)
    await dir[Symbol.asyncDispose]()
  }
  const killAtExit = () => daemons.forEach((daemon) => daemon.kill('SIGKILL'))
  process.once('exit', killAtExit)
  try {
    const account = await bringUp(dir.path, daemons)
    return {
      ...account,
      createBucket: (name) => createBucket(account, name),
      createUser: async (name) => {
        const user = { ...newKeys(), endpoint: account.endpoint }
        const keys = ['--access-key', user.accessKey, '--secret-key', user.secretKey]
        const args = ['-c', join(dir.path, 'ceph.conf'), 'user', 'create', `--uid=${name}`, `--display-name=${name}`]
        await execute('radosgw-admin', [...args, ...keys], { timeout: 60_000 })
        return user
      },
      stop: async () => {
        process.off('exit', killAtExit)
        await stop()
      },
    }
  } catch (error) {
    const log = await readFile(join(dir.path, 'daemons.log'), 'utf8').catch(() => '')
    await stop()
    throw new Error(`Ceph did not start: ${String(error)}\n${log.split('\n').slice(-20).join('\n')}`, { cause: error })
  }
}

async function bringUp(folder: string, daemons: ChildProcess[]): Promise<S3Account> {
  const [monPort, rgwPort] = [await freePort(), await freePort()]
  const fsid = randomUUID()
  const config = join(folder, 'ceph.conf')
  await mkdir(join(folder, 'osd'))
  await writeFile(config, cephConf(folder, fsid, monPort, rgwPort))
  const run = (program: string, ...args: string[]) => execute(program, ['-c', config, ...args], { timeout: 60_000 })
  const start = async (program: string, ...args: string[]) => {
    const daemon = spawn(program, ['-c', config, ...args, '-f'], { stdio: 'ignore', detached: false })
    // A program that cannot be started is seen by the wait for its port.
    daemon.on('error', () => undefined)
    daemons.push(daemon)
    return daemon
  }
  const keyring = join(folder, 'keyring')
  const [monmap, osdmap] = [join(folder, 'monmap'), join(folder, 'osdmap')]
  await run('monmaptool', '--create', '--clobber', '--addv', 'a', `[v2:127.0.0.1:${monPort}]`, '--fsid', fsid, monmap)
  await run('osdmaptool', '--createsimple', '1', osdmap, '--clobber')
  await run('ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *')
  const all = ['--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *']
  await run('ceph-authtool', keyring, '--gen-key', '-n', 'client.admin', ...all, '--cap', 'mgr', 'allow *')
  await run(
    'ceph-authtool',
    keyring,
    '--gen-key',
    '-n',
    'osd.0',
    '--cap',
    'mon',
    'allow profile osd',
    '--cap',
    'osd',
    'allow *',
  )
  await run('ceph-authtool', keyring, '--gen-key', '-n', 'client.rgw', ...all)
  await run('ceph-mon', '--keyring', keyring, '--mkfs', '-i', 'a', '--monmap', monmap, '--osdmap', osdmap)
  await waitForPort(monPort, await start('ceph-mon', '-i', 'a'))
  await run('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', randomUUID())
  await start('ceph-osd', '-i', '0')
  const account = {
    endpoint: `http://127.0.0.1:${rgwPort}`,
    ...newKeys(),
  }
  const keys = ['--access-key', account.accessKey, '--secret-key', account.secretKey]
  await run('radosgw-admin', 'user', 'create', '--uid=dev', '--display-name=dev', ...keys)
  await waitForPort(rgwPort, await start('radosgw', '-n', 'client.rgw'))
  return account
}

function newKeys() {
  return { accessKey: `K${randomBytes(8).toString('hex')}`, secretKey: randomBytes(20).toString('hex') }
}

async function requirePrograms(): Promise<void> {
  const folders = (process.env['PATH'] ?? '').split(':')
  const missing: string[] = []
  for (const program of programs) {
    const found = await Promise.all(
      folders.map((folder) =>
        access(join(folder, program)).then(
          () => true,
          () => false,
        ),
      ),
    )
    if (!found.includes(true)) missing.push(program)
  }
  if (missing.length === 0) return
  throw new Error(
    `the store tests need a real S3 server, and ${missing.join(', ')} is missing. ` +
      'Install it: sudo apt-get install radosgw ceph-mon ceph-osd. To leave these tests out: PARBAKE_SKIP_CEPH=1',
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

async function waitForPort(port: number, daemon: ChildProcess): Promise<void> {
  for (const limit = Date.now() + 90_000; Date.now() < limit; await sleep(50)) {
    if (daemon.pid === undefined || daemon.exitCode !== null) throw new Error(`${daemon.spawnfile} ended`)
    if (await accepts(port)) return
  }
  throw new Error(`${daemon.spawnfile} does not listen on ${port}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function endDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return
  const ended = new Promise<void>((done) => daemon.once('exit', () => done()))
  daemon.kill('SIGTERM')
  const timer = setTimeout(() => daemon.kill('SIGKILL'), 3000)
  await ended
  clearTimeout(timer)
}

function cephConf(folder: string, fsid: string, monPort: number, rgwPort: number): string {
  const libraries = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`
  return `[global]
fsid = ${fsid}
mon initial members = a
mon host = [v2:127.0.0.1:${monPort}]
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${folder}/keyring
run dir = ${folder}
crash dir = ${folder}
admin socket =
log file = ${folder}/daemons.log
mon cluster log file = ${folder}/cluster.log
plugin dir = ${libraries}/ceph
erasure code dir = ${libraries}/ceph/erasure-code
osd class dir = ${libraries}/rados-classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd heartbeat grace = 30
osd pool default read lease ratio = 0.1
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 2
mon max pg per osd = 1000
auth allow insecure global id reclaim = false
[mon.a]
mon data = ${folder}/mon
public addr = 127.0.0.1:${monPort}
[osd]
osd data = ${folder}/osd
osd objectstore = memstore
osd mon shutdown timeout = 1
osd mclock skip benchmark = true
osd op num shards = 2
osd op num threads per shard = 1
osd memory target = 939524096
memstore device bytes = 4294967296
[client]
objecter tick interval = 0.3
objecter timeout = 0.6
rgw frontends = beast endpoint=127.0.0.1:${rgwPort} tcp_nodelay=1
rgw enable apis = s3
rgw thread pool size = 32
rgw data = ${folder}
rgw gc obj min wait = 300
rgw gc processor period = 300
rgw override bucket index max shards = 1
rgw dynamic resharding = false
`
}
