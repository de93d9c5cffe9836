import { access, constants, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { findBase } from '../base/cache.ts'
import type { Config } from '../config.ts'
import type { Context } from '../context.ts'
import { InterruptedError, messageOf, UserError } from '../errors.ts'
import { listKeys, signingKeyVariable } from '../keys/files.ts'
import { formatBytes } from '../report/reporters.ts'
import { openStore } from '../store/open.ts'
import { probeConditionalPut } from '../store/probe.ts'
import { probeTool, toolSpecs, type FoundTool, type ToolSpec } from '../system/tools.ts'
import { probeAccelerator } from '../vm/accelerator.ts'
import { diagnosisOf, type Check, type Diagnosis } from './model.ts'

/** A bake needs the base, an overlay, a snapshot of the guest's memory and the compressed image. */
const comfortableBytes = 8 * 1024 ** 3
const neededBytes = 3 * 1024 ** 3

/** Looks at everything parbake depends on. A check that fails is a finding and never an exception. */
export async function diagnose(context: Context): Promise<Diagnosis> {
  const tools = await Promise.all(
    toolSpecs.map(async (spec) => ({ spec, found: await probeTool(spec, context.signal) })),
  )
  const checks = [
    await checkAccelerator(context.config),
    ...checkEngines(tools.filter(({ found }) => found.path === undefined).map(({ spec }) => spec)),
    ...tools.map(({ spec, found }) => checkTool(spec, found)),
    await checkGrubImages(),
    await checkDisk(context.config.cacheDir),
    checkConfig(context.config),
    checkKeys(context.config),
    await checkStore(context),
    await checkBase(context),
  ]
  if (context.signal.aborted) throw new InterruptedError()
  return diagnosisOf(checks)
}

async function checkAccelerator(config: Config): Promise<Check> {
  try {
    const { name, reason, timeFactor } = await probeAccelerator(config.vm.accelerator)
    const slow = name === 'tcg' ? `; guests run about ${timeFactor} times slower` : ''
    return { group: 'accelerator', name, state: name === 'kvm' ? 'ok' : 'note', detail: `${reason}${slow}` }
  } catch (error) {
    return failed('accelerator', config.vm.accelerator, error)
  }
}

/**
 * The engines of DESIGN.md's bake: what is missing for each, from the missing tools. One of them is enough, and the VM
 * can do everything.
 */
export function checkEngines(
  missing: readonly Pick<ToolSpec, 'name' | 'neededFor'>[],
  asRoot = process.getuid?.() === 0,
): readonly Check[] {
  const lacks = (engine: 'vm' | 'container') =>
    missing.filter((spec) => spec.neededFor === engine).map((spec) => spec.name)
  const vm: Check =
    lacks('vm').length === 0
      ? { group: 'engine', name: 'vm', state: 'ok', detail: 'QEMU; needs no root' }
      : { group: 'engine', name: 'vm', state: 'missing', detail: `lacks ${lacks('vm').join(', ')}` }
  const obstacles = [
    ...(asRoot ? [] : ['needs root']),
    ...(lacks('container').length === 0 ? [] : [`lacks ${lacks('container').join(', ')}`]),
  ]
  const container: Check =
    obstacles.length === 0
      ? { group: 'engine', name: 'container', state: 'ok', detail: 'systemd-nspawn; the faster one' }
      : { group: 'engine', name: 'container', state: 'note', detail: `faster, but ${obstacles.join(' and ')}` }
  return [vm, container]
}

/** One tool as a finding. */
export function checkTool(spec: ToolSpec, found: FoundTool): Check {
  if (found.path === undefined) {
    return {
      group: 'tool',
      name: spec.name,
      // What one engine lacks the other makes up for.
      state: spec.neededFor === 'container' ? 'note' : 'missing',
      detail: `not found; needed to ${spec.purpose}`,
      hint: `apt-get install ${spec.debianPackage}`,
    }
  }
  return {
    group: 'tool',
    name: spec.name,
    state: 'ok',
    detail: `${found.version ?? 'version unknown'} (${found.path})`,
  }
}

async function checkGrubImages(): Promise<Check> {
  const path = '/usr/lib/grub/i386-pc/boot.img'
  const there = await access(path).then(
    () => true,
    () => false,
  )
  return there
    ? { group: 'tool', name: 'grub for BIOS', state: 'ok', detail: path }
    : {
        ...{ group: 'tool', name: 'grub for BIOS', state: 'missing', detail: `no ${path}; needed to build a base` },
        hint: 'apt-get install grub-pc-bin',
      }
}

async function checkDisk(cacheDir: string): Promise<Check> {
  const name = 'free space'
  try {
    const folder = await existingParent(cacheDir)
    await access(folder, constants.W_OK)
    const { bavail, bsize } = await statfs(folder)
    return judgeSpace(bavail * bsize, cacheDir)
  } catch (error) {
    return { ...failed('disk', name, error), hint: `make ${cacheDir} writable, or set cache in parbake.yaml` }
  }
}

/** Free space in the cache folder as a finding. */
export function judgeSpace(freeBytes: number, cacheDir: string): Check {
  const state = freeBytes < neededBytes ? 'missing' : freeBytes < comfortableBytes ? 'note' : 'ok'
  return {
    group: 'disk',
    name: 'free space',
    state,
    detail: `${formatBytes(freeBytes)} free in ${cacheDir}`,
    ...(state !== 'ok' && {
      hint: `a bake takes up to ${formatBytes(comfortableBytes)}; set cache in parbake.yaml, or PARBAKE_CACHE`,
    }),
  }
}

async function existingParent(path: string): Promise<string> {
  const there = await access(path).then(
    () => true,
    () => false,
  )
  return there || dirname(path) === path ? path : existingParent(dirname(path))
}

function checkConfig(config: Config): Check {
  return {
    group: 'config',
    name: 'parbake.yaml',
    state: 'ok',
    detail: config.file ?? 'none found: every setting has its default',
  }
}

function checkKeys(config: Config): Check {
  const name = 'signing key'
  if (process.env[signingKeyVariable] !== undefined) {
    return { group: 'keys', name, state: 'ok', detail: `from ${signingKeyVariable}` }
  }
  if (config.signing !== undefined) {
    return { group: 'keys', name, state: 'ok', detail: `behind the command '${config.signing.command[0]}'` }
  }
  try {
    const signing = listKeys(config).filter((key) => key.privateFile !== undefined)
    return signing.length > 0
      ? { group: 'keys', name, state: 'ok', detail: signing.map((key) => key.privateFile).join(', ') }
      : {
          ...{ group: 'keys', name, state: 'note', detail: `none in ${config.keysDir}; needed to publish` },
          hint: "run 'parbake keys init'",
        }
  } catch (error) {
    return failed('keys', name, error)
  }
}

async function checkStore(context: Context): Promise<Check> {
  const { store: url } = context.config
  try {
    const store = await openStore(url)
    try {
      return (await probeConditionalPut(store))
        ? { group: 'store', name: store.url, state: 'ok', detail: 'reachable; conditional puts are enforced' }
        : {
            ...{ group: 'store', name: store.url, state: 'missing' as const },
            detail: 'reachable, but it ignores conditional puts: two publishers could overwrite each other',
            hint: 'use a bucket without versioning, or another store',
          }
    } finally {
      store.close()
    }
  } catch (error) {
    // Never the raw URL, for it may hold credentials.
    return failed('store', url.replace(/\/\/[^/@]*@/, '//').replace(/\?.*$/, ''), error)
  }
}

async function checkBase(context: Context): Promise<Check> {
  const { base: name } = context.config
  try {
    const base = await findBase(name, context)
    return {
      group: 'base',
      name,
      state: 'ok',
      detail: `${base.digest.slice(0, 12)}, built ${base.builtAt.slice(0, 10)}`,
    }
  } catch (error) {
    return { ...failed('base', name, error), state: 'note' }
  }
}

function failed(group: Check['group'], name: string, error: unknown): Check {
  const hint = error instanceof UserError ? error.hint : undefined
  return { group, name, state: 'missing', detail: messageOf(error), ...(hint !== undefined && { hint }) }
}
