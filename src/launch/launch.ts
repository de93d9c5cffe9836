import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { createOverlay } from '../image/qemu-img.ts'
import { loadTrustedKeys } from '../keys/index.ts'
import { recordLaunch, type LaunchRecord } from '../profile/launches.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { keys } from '../store/keys.ts'
import type { ObjectStore } from '../store/object-store.ts'
import { openStore } from '../store/open.ts'
import { tempDir } from '../system/temp.ts'
import { makeUserData } from '../user-data/make.ts'
import { probeAccelerator } from '../vm/accelerator.ts'
import type { PortForward } from '../vm/qemu-args.ts'
import { writeSeedIso } from '../vm/seed.ts'
import { startGuest, type Vm } from '../vm/vm.ts'
import { Cleanup } from '../util/cleanup.ts'
import { KernelStart } from './kernel-start.ts'
import { openGuestStore } from './guest-store.ts'
import { waitForReport } from './wait-for-report.ts'

/** The disk a VM is launched from; it is never written to. */
export interface LaunchDisk {
  readonly path: string
  /** Id of a parbake image, '' for a plain base. */
  readonly imageId: string
  /** Name of the base, for records. */
  readonly base: string
}

export interface LaunchOptions {
  readonly recipe: Pick<Recipe, 'name' | 'everyMinutes'>
  readonly disk: LaunchDisk
  readonly channel?: string
  /** `verify` keeps the boot out of profiles. */
  readonly purpose?: 'fleet' | 'verify'
  readonly forwards?: readonly PortForward[]
  /** KVM seconds until the first converge must have finished; 900 by default. */
  readonly timeoutSeconds?: number
  /** Have the slowest commands of every shell step reported. */
  readonly trace?: boolean
  /** What is to look into the guest afterwards: vendor-data that starts it, and who hears what it says on the channel. */
  readonly probe?: { readonly vendorData: string; readonly onLine: (line: string) => void }
}

/** A VM that has finished its first converge and reported. Disposing it ends the VM and removes its disk. */
export interface Launched extends AsyncDisposable {
  readonly vm: Vm
  readonly report: Report
  /** What was measured from outside. */
  readonly record: LaunchRecord
  /** Host-measured seconds from QEMU's start until the last due step had finished. */
  readonly launchSeconds: number
  /** What the agent said on the console when it was ready or had failed. */
  readonly line: string
  readonly consoleLog: string
  readonly instanceId: string
}

/** A host would find out only after its boot. */
async function checkPublished(store: ObjectStore, recipe: string, channel: string): Promise<void> {
  if ((await store.head(keys.channel(recipe, channel))) !== undefined) return
  throw new UserError(
    `nothing is published of '${recipe}' on the channel ${channel}, so a host would find nothing to do`,
    {
      hint: "run 'parbake publish' with the recipe's folder",
      code: 'not-published',
    },
  )
}

/**
 * Boots a VM from an overlay on the disk with fresh user-data and a fresh instance id, and waits until the agent says that
 * it is ready and its report is in the store. Throws UserError where the converge failed, with the step's output.
 */
export async function launch(context: Context, options: LaunchOptions): Promise<Launched> {
  const { config, reporter, signal } = context
  const accelerator = await probeAccelerator(config.vm.accelerator)
  const instanceId = `iid-${randomUUID()}`
  const hostname = `${options.recipe.name}-${instanceId.slice(-8)}`
  const logs = join(config.cacheDir, 'logs')
  await mkdir(logs, { recursive: true })
  const consoleLog = join(logs, `${hostname}.log`)
  await using stack = new Cleanup()
  const work = stack.use(await tempDir('launch'))
  const guestStore = stack.use(await openGuestStore(context))
  const store = await openStore(config.store)
  stack.defer(() => store.close())
  await checkPublished(store, options.recipe.name, options.channel ?? config.channel)
  const userData = await makeUserData({
    recipeName: options.recipe.name,
    everyMinutes: options.recipe.everyMinutes,
    config,
    target: 'nocloud',
    trustedKeys: loadTrustedKeys(config),
    overrides: {
      ...guestStore.overrides,
      purpose: options.purpose ?? 'fleet',
      ...(options.channel === undefined ? {} : { channel: options.channel }),
      ...(options.trace === true ? { trace: true } : {}),
    },
  })
  const disk = join(work.path, 'disk.qcow2')
  const seed = join(work.path, 'seed.iso')
  await createOverlay(disk, options.disk.path)
  await writeSeedIso(
    seed,
    {
      userData: userData.bytes,
      metaData: `instance-id: ${instanceId}\nlocal-hostname: ${hostname}\n`,
      ...(options.probe === undefined ? {} : { vendorData: options.probe.vendorData }),
    },
    context,
  )
  const timeoutSeconds = options.timeoutSeconds ?? 900
  const startedAt = new Date()
  const kernelStart = new KernelStart()
  const vm = stack.use(
    await startGuest({
      disk,
      seed,
      memoryMiB: config.vm.memoryMiB,
      cpus: config.vm.cpus,
      accelerator,
      consoleLog,
      signal,
      reporter,
      timeoutSeconds: timeoutSeconds * 100,
      onLine: (line) => {
        kernelStart.see(line, performance.now())
        reporter.emit({ type: 'console', source: hostname, line })
      },
      ...(options.forwards === undefined ? {} : { forwards: options.forwards }),
      ...(options.probe === undefined ? {} : { channel: true, onChannelLine: options.probe.onLine }),
    }),
  )
  const ready = await vm.waitForLine(/parbake: (ready|failed) recipe=\S+ run=(\S+)/, timeoutSeconds)
  const launchSeconds = (ready.atMs - vm.startedAtMs) / 1000
  const report = await waitForReport(store, {
    ...{ recipe: options.recipe.name, hostname, run: ready.match[2] ?? '', signal },
    seconds: 60 * vm.accelerator.timeFactor,
  })
  if (ready.match[1] === 'failed') throw convergeFailed(report, consoleLog)
  const kernelMs = kernelStart.earliestMs
  const record: LaunchRecord = {
    run: report.run,
    recipe: report.recipe,
    image: report.image,
    base: options.disk.base,
    accelerator: vm.accelerator.name,
    launchSeconds,
    ...(kernelMs === undefined ? {} : { firmwareSeconds: Math.max(0, kernelMs - vm.startedAtMs) / 1000 }),
    readyUptime: report.readyUptime,
    at: startedAt.toISOString(),
  }
  if (report.purpose === 'fleet') await recordLaunch(config.stateDir, record)
  const kept = stack.move()
  return {
    vm,
    report,
    record,
    launchSeconds,
    line: ready.line,
    consoleLog,
    instanceId,
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  }
}

/** The failure of a converge as the user must see it: which step, and what it said. */
export function convergeFailed(report: Report, consoleLog: string): UserError {
  const failed = report.steps.find((step) => step.outcome === 'failed')
  const output = failed?.output === undefined ? '' : `\n${failed.output.trimEnd().replaceAll(/^/gm, '  | ')}`
  return new UserError(`${report.recipe} did not converge on ${report.hostname}: ${report.error}${output}`, {
    hint: `the whole console is in ${consoleLog}`,
    code: 'converge-failed',
  })
}
