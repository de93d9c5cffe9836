import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findBaseObstacle } from '../../bake/container/base-facts.ts'
import { baseRaw } from '../../bake/container/base-raw.ts'
import type { ContainerNetwork } from '../../bake/container/network.ts'
import { openRelay } from '../../bake/container/relay.ts'
import type { Context } from '../../context.ts'
import { UserError } from '../../errors.ts'
import { fuseObstacle } from '../../disk/expose.ts'
import { loadTrustedKeys } from '../../keys/index.ts'
import { openGuestStore } from '../../launch/guest-store.ts'
import { detectDiskFormat } from '../../image/disk-format.ts'
import { convergeFailed, type LaunchDisk } from '../../launch/launch.ts'
import type { Report } from '../../profile/report.ts'
import { phase } from '../../report/events.ts'
import { run } from '../../system/run.ts'
import { findTool, needTool } from '../../system/tools.ts'
import { makeUserData } from '../../user-data/make.ts'
import { Cleanup } from '../../util/cleanup.ts'
import { hostFromGuest } from '../../vm/user-network.ts'
import type { HostRequest, HostRunner, PreparedDisk } from '../host.ts'
import { bootProbed, openPlace, workFolder } from './boot.ts'

/** Hosts as systemd-nspawn containers on an overlay over the disk: no kernel, no firmware of their own, but in seconds. */
export const containerRunner: HostRunner = {
  name: 'container',
  async obstacle(context, disks) {
    if (process.getuid?.() !== 0) return 'it needs root'
    const fuse = await fuseObstacle()
    if (fuse !== undefined) return fuse
    for (const tool of ['systemd-nspawn', 'slirp4netns', 'nsenter', 'unshare', 'losetup', 'ip', 'mkfifo']) {
      if ((await findTool(tool)) === undefined) return `${tool} is missing`
    }
    const { base: name, digest, path } = disks.base
    return findBaseObstacle(context, { name, digest, path })
  },
  async prepare(context, disk) {
    if ((await detectDiskFormat(disk.path)) === 'raw') return { disk, [Symbol.asyncDispose]: () => Promise.resolve() }
    if ('digest' in disk) {
      const raw = await baseRaw(context, { name: disk.base, digest: disk.digest, path: disk.path })
      return { disk: { ...disk, path: raw.path }, [Symbol.asyncDispose]: () => raw[Symbol.asyncDispose]() }
    }
    return phase(context.reporter, 'unpack the image', () => unpack(context, disk))
  },
  async start(context, request) {
    await using stack = new Cleanup()
    const place = stack.use(await openPlace(context, request.disk.path, request.recipe.name))
    const userData = await userDataIn(context, request, place.network, stack)
    const { hostname } = place.host
    const consoleLog = join(context.config.cacheDir, 'logs', `${hostname}.log`)
    await mkdir(join(context.config.cacheDir, 'logs'), { recursive: true })
    const onLine = (line: string) => context.reporter.emit({ type: 'console', source: hostname, line })
    const { role } = request
    const { probe } = stack.use(await bootProbed(context, place, { userData, role, consoleLog, onLine }))
    // All of the first converge is in it.
    await probe.settle(request.timeoutSeconds ?? 900)
    const report = checked(await probe.report(), role, consoleLog)
    const kept = stack.move()
    return {
      report,
      settle: () => Promise.resolve(),
      converge: () => probe.converge(),
      inventory: () => probe.inventory(),
      [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
    }
  },
}

/** Two hosts boot from it, and all of it is read twice: decompressing it once is less work. */
async function unpack(context: Context, disk: LaunchDisk): Promise<PreparedDisk> {
  await using stack = new Cleanup()
  const folder = stack.use(await workFolder(context))
  const path = join(folder.path, 'disk.raw')
  const { reporter, signal } = context
  await run(await needTool('qemu-img'), ['convert', '-m', '16', '-W', '-f', 'qcow2', '-O', 'raw', disk.path, path], {
    ...{ purpose: 'unpack an image', reporter, signal },
  })
  const kept = stack.move()
  return { disk: { ...disk, path }, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

/** The user-data that any host gets, with the one port of this machine that it needs brought to it. */
async function userDataIn(
  context: Context,
  { recipe, channel }: HostRequest,
  network: ContainerNetwork,
  stack: Cleanup,
): Promise<Uint8Array> {
  const { config } = context
  const store = stack.use(await openGuestStore(context))
  const { endpoint } = store.overrides
  const { bytes } = await makeUserData({
    recipeName: recipe.name,
    everyMinutes: recipe.everyMinutes,
    config,
    target: 'nocloud',
    trustedKeys: loadTrustedKeys(config),
    overrides: {
      ...store.overrides,
      ...(endpoint === undefined ? {} : { endpoint: await relayed(endpoint, network, stack) }),
      ...{ purpose: 'verify', channel },
    },
  })
  return bytes
}

/** QEMU's guests find all of this machine's loopback at one address; here only the port that is needed can be reached. */
async function relayed(endpoint: string, network: ContainerNetwork, stack: Cleanup): Promise<string> {
  const url = new URL(endpoint)
  if (url.hostname !== hostFromGuest) return endpoint
  const relay = stack.use(await openRelay(network, Number(url.port === '' ? 80 : url.port)))
  url.host = new URL(relay.url).host
  return url.href.replace(/\/$/, '')
}

function checked(report: Report | undefined, role: string, consoleLog: string): Report {
  if (report === undefined) {
    throw new UserError(`the host from the ${role} did not converge: its agent left no report`, {
      hint: `the whole console is in ${consoleLog}`,
      code: 'converge-failed',
    })
  }
  if (report.outcome === 'failed') throw convergeFailed(report, consoleLog)
  return report
}
