import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { createOverlay } from '../image/qemu-img.ts'
import { convergeFailed } from '../launch/launch.ts'
import { reportSchema, type Report } from '../profile/report.ts'
import { phase } from '../report/events.ts'
import { probeAccelerator } from '../vm/accelerator.ts'
import { writeDataIso, writeSeedIso } from '../vm/seed.ts'
import { startVm, type Vm } from '../vm/vm.ts'
import type { BakeEngine, BakeJob } from './engine.ts'
import { bakeUserData, mediumLabel, writeMedium } from './guest-files.ts'

/** KVM seconds for one boot to the end of cloud-init, for one stretch of baking, for sealing. */
const limits = { boot: 300, steps: 7200, seal: 300 } as const

/** Bakes in a QEMU virtual machine; needs no root. */
export const vmEngine: BakeEngine = {
  name: 'vm',
  async bake(job, workFolder, context) {
    const disk = join(workFolder, 'bake.qcow2')
    await using vm = await bootBake(job, disk, workFolder, context)
    const { reporter } = context
    await phase(reporter, 'boot the base for baking', () => reach(vm, 'booted', limits.boot))
    const report = await runSteps(vm, job, context, consoleLogOf(job, context))
    await phase(reporter, 'seal', async () => {
      await reach(vm, 'sealed', limits.seal)
      await poweredOff(vm)
    })
    return { path: disk, report, accelerator: vm.accelerator.name }
  },
}

function consoleLogOf(job: BakeJob, context: Context): string {
  return join(context.config.cacheDir, 'logs', `bake-${job.imageId}.log`)
}

async function bootBake(job: BakeJob, disk: string, workFolder: string, context: Context): Promise<Vm> {
  const { config, reporter, signal } = context
  const medium = join(workFolder, 'medium')
  const mediumIso = join(workFolder, 'medium.iso')
  const seed = join(workFolder, 'seed.iso')
  const consoleLog = consoleLogOf(job, context)
  await mkdir(join(config.cacheDir, 'logs'), { recursive: true })
  await writeMedium(medium, job)
  await writeDataIso(mediumIso, medium, mediumLabel, context)
  await createOverlay(disk, job.basePath)
  await writeSeedIso(
    seed,
    { userData: bakeUserData(job), metaData: `instance-id: iid-bake-${randomUUID()}\nlocal-hostname: parbake-bake\n` },
    context,
  )
  return startVm({
    disk,
    seed,
    extraDisks: [{ path: mediumIso, format: 'raw', readonly: true, serial: 'parbake-medium' }],
    memoryMiB: config.vm.memoryMiB,
    cpus: config.vm.cpus,
    accelerator: await probeAccelerator(config.vm.accelerator),
    channel: true,
    consoleLog,
    signal,
    reporter,
    timeoutSeconds: limits.boot + limits.steps + limits.seal,
    onLine: (line) => reporter.emit({ type: 'console', source: 'bake', line }),
  })
}

/** Waits for a word of bootstrap/bake.sh; its `failed` ends the bake with what it says. */
async function reach(vm: Vm, word: string, seconds: number): Promise<void> {
  const { match } = await vm.waitForChannelLine(new RegExp(`^(?:${word}|failed (.*))$`), seconds)
  if (match[1] !== undefined) throw new UserError(`the bake failed: ${match[1]}`, { code: 'bake-failed' })
}

async function runSteps(vm: Vm, job: BakeJob, context: Context, consoleLog: string): Promise<Report> {
  for (const name of job.stepNames) {
    const failed = await phase(
      context.reporter,
      `bake step ${name}`,
      async () => {
        const pattern = new RegExp(`^(?:step-end ${name} (\\S+) .*|report .*|failed .*)$`)
        const { match } = await vm.waitForChannelLine(pattern, limits.steps)
        return match[1] !== 'ran'
      },
      (failure) => (failure ? { detail: 'failed' } : {}),
    )
    if (failed) break
  }
  const { match } = await vm.waitForChannelLine(/^(?:report (\{.*)|failed (.*))$/, limits.steps)
  if (match[1] === undefined) throw new UserError(`the bake failed: ${match[2] ?? ''}`, { code: 'bake-failed' })
  const report = reportSchema.parse(JSON.parse(match[1]))
  if (report.outcome === 'failed') throw convergeFailed(report, consoleLog)
  return report
}

/** The image is whole only if the guest itself powered off after it had sealed. */
async function poweredOff(vm: Vm): Promise<void> {
  const timer = new AbortController()
  const late = new Promise<'late'>((resolve) => {
    const timeout = setTimeout(() => resolve('late'), limits.seal * 1000 * vm.accelerator.timeFactor)
    timer.signal.addEventListener('abort', () => clearTimeout(timeout))
  })
  const exit = await Promise.race([vm.exited, late])
  timer.abort()
  if (exit === 'late' || exit.code !== 0) {
    throw new UserError('the sealed system did not power off in order, so its disk cannot be trusted', {
      code: 'bake-failed',
    })
  }
}
