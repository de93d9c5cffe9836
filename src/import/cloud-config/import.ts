import type { SourceLocation } from '../../errors.ts'
import { suggestion } from '../../util/nearest.ts'
import { compareCodeUnits } from '../../util/canonical-json.ts'
import type { Collector } from '../collector.ts'
import type { StepDraft } from '../model.ts'
import { addShellScript } from '../shell/steps.ts'
import type { PlacedFile } from '../volatile.ts'
import { commandScript } from './commands.ts'
import { addWriteFiles, isTrue, readWriteFiles, type WriteFile } from './files.ts'
import { configModules, earlyModules, finalModules, lastModules, lostKeys, type ModuleRule } from './modules.ts'
import { addPackages } from './packages.ts'
import { itemsOf, mappingOf, textOf, type ConfigKey } from './read.ts'
import { singleStep } from './single.ts'
import { addSshKeys, addUsers, userNames } from './users.ts'

/** A script of user-data beside a cloud-config. */
export interface UserScript {
  /** Under which cloud-init stores it: scripts run in the order of these names. */
  readonly fileName: string
  /** Name of its step. */
  readonly name: string
  readonly what: string
  readonly text: string
  readonly locate: (line: number) => SourceLocation
  readonly when?: StepDraft['when']
  readonly note?: string
}

/** What user-data comes to, its parts put together as cloud-init does. */
export interface CloudInput {
  readonly config: ReadonlyMap<string, ConfigKey>
  /** Once per instance, in the final stage. */
  readonly scripts: readonly UserScript[]
  /** At every boot, before all else. */
  readonly bootScripts: readonly UserScript[]
}

const ownKeys = new Set(
  'bootcmd write_files users groups ssh_authorized_keys packages package_update package_upgrade apt_update apt_upgrade runcmd power_state'.split(
    ' ',
  ),
)
const moduleRules = [...earlyModules, ...configModules, ...finalModules, ...lastModules]
const knownKeys = [...ownKeys, ...moduleRules.flatMap(({ keys }) => keys), ...Object.keys(lostKeys)]

const bootNote =
  'at every boot, but when the agent runs, not before the network; scripts after it wait for it, so they are baked only once their needs leave it out'

/** Adds steps for all of it, in the order in which cloud-init goes about it. */
export function addCloudInput(input: CloudInput, to: Collector): void {
  const { config } = input
  const boot = [...commandsOf(config, 'bootcmd', to), ...input.bootScripts]
  const scripts = [...commandsOf(config, 'runcmd', to), ...input.scripts].toSorted((a, b) =>
    compareCodeUnits(a.fileName, b.fileName),
  )
  const scriptText = [...boot, ...scripts].map(({ text }) => text).join('\n')
  const installed = `${scriptText}\ninstall ${packageWords(config)}\n`
  const writeFiles = config.get('write_files')
  const files = writeFiles === undefined ? [] : readWriteFiles(writeFiles, to)
  const users = new Set(userNames(config))
  const ofUser = ({ owner, deferred }: WriteFile) => !deferred && owner.split(':').some((name) => users.has(name))
  const addScript = (script: UserScript, placed: readonly PlacedFile[]) => {
    addShellScript({ ...script, placed, installed }, to)
  }

  for (const script of boot) {
    addScript({ ...script, when: 'boot', note: bootNote }, [])
  }
  const placed = [
    ...addWriteFiles(
      files.filter((file) => !file.deferred && !ofUser(file)),
      scriptText,
      to,
      lateNote,
    ),
  ]
  addModules(earlyModules, config, to)
  addUsers(config, to)
  addSshKeys(config, to)
  placed.push(
    ...addWriteFiles(
      files.filter(ofUser),
      scriptText,
      to,
      () => 'after users: cloud-init writes it before its owner is there, and fails',
    ),
  )
  addModules(configModules, config, to)
  addPackages(config, to)
  placed.push(
    ...addWriteFiles(
      files.filter(({ deferred }) => deferred),
      scriptText,
      to,
    ),
  )
  addModules(finalModules, config, to)
  for (const script of scripts) addScript(script, placed)
  addModules(lastModules, config, to)
  addPowerState(config.get('power_state'), to)
  tellLost(config, to)
}

function commandsOf(
  config: ReadonlyMap<string, ConfigKey>,
  name: 'runcmd' | 'bootcmd',
  to: Collector,
): readonly UserScript[] {
  const key = config.get(name)
  if (key === undefined) return []
  const script = commandScript(key, to)
  if (script === undefined) {
    to.carried(key.at, name, [], 'is empty')
    return []
  }
  return [{ fileName: name, name, what: name, ...script }]
}

function packageWords(config: ReadonlyMap<string, ConfigKey>): string {
  const value = config.get('packages')?.value
  return (Array.isArray(value) ? (value as unknown[]) : [])
    .flat()
    .map((name) => textOf(name) ?? '')
    .join(' ')
}

/** Files that a boot has read before the agent writes them. */
function lateNote({ path }: WriteFile): string | undefined {
  return /^\/etc\/(?:ssh|systemd\/(?!system\/)|sysctl\.d|sysctl\.conf|modprobe\.d|modules-load\.d|udev|netplan|network|default\/grub)/.test(
    path,
  )
    ? 'the first boot has read it before the agent writes it: it counts from the next one on, or at once when baked'
    : undefined
}

function addModules(rules: readonly ModuleRule[], config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  for (const rule of rules) {
    const keys = rule.keys.flatMap((name) => config.get(name) ?? [])
    if (keys.length === 0) continue
    const { name, description, modules, when, note } = rule
    const apart = name === 'mounts' ? apartOfMounts(keys, config) : rule.apart
    const draft = { name, description, plain: true, ...(when && { when }), ...(apart && { apart }) }
    const fragment = Object.fromEntries(keys.map(({ key, value }) => [key, value]))
    const step = singleStep(to, draft, modulesFor(modules, keys), fragment)
    for (const [index, { at, key }] of keys.entries()) to.carried(at, key, [step], index === 0 ? note : undefined)
  }
}

/** Nothing waits for swap; what is declared waits for a mount only where it may lie below it. */
function apartOfMounts(keys: readonly ConfigKey[], config: ReadonlyMap<string, ConfigKey>): StepDraft['apart'] {
  const mounts = keys.find(({ key }) => key === 'mounts')
  if (mounts === undefined) return 'all'
  const points = itemsOf(mounts).map(
    ({ value }) => textOf(Array.isArray(value) ? (value as unknown[])[1] : value) ?? '',
  )
  const paths = JSON.stringify([config.get('write_files')?.value ?? [], config.get('users')?.value ?? []])
  const isOwn = (point: string) => /^\/(?:mnt|media|data\d*)(?:\/|$)/.test(point) && !paths.includes(`"${point}/`)
  return points.every((point) => isOwn(point) || !point.startsWith('/')) ? 'plain' : undefined
}

/** A reboot that depends on nothing can be carried over: the agent knows how to go on behind one. */
function addPowerState(key: ConfigKey | undefined, to: Collector): void {
  if (key === undefined) return
  const { mode, condition } = mappingOf(key.value) ?? {}
  if (mode === 'reboot' && (condition === undefined || condition === null || isTrue(condition))) {
    const draft = { name: 'reboot', description: 'Reboots once all else is done', when: 'instance' } as const
    const step = to.step({ ...draft, keys: { type: 'script', reboot: true, run: 'true\n' } })
    to.carried(key.at, key.key, [step], 'at once after the last step')
  } else {
    const hint = 'for a reboot in any case, write a step with `reboot: true`'
    to.notCarried(key.at, key.key, 'recipes switch no hosts off, and reboot them without conditions', hint)
  }
}

/** A module that nothing is said about would write what is so by default. */
function modulesFor(modules: readonly string[], keys: readonly ConfigKey[]): readonly string[] {
  const has = (...names: string[]) => keys.some(({ key }) => names.includes(key))
  return modules.filter((module) => {
    if (module === 'update_etc_hosts') return has('manage_etc_hosts')
    if (module === 'apt_pipelining') return has('apt_pipelining')
    if (module === 'apt_configure') return keys.some(({ key }) => key !== 'apt_pipelining')
    return true
  })
}

function tellLost(config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  const carried = new Set([...ownKeys, ...moduleRules.flatMap(({ keys }) => keys)])
  for (const { key, at } of config.values()) {
    if (carried.has(key)) continue
    const reason = Object.hasOwn(lostKeys, key) ? lostKeys[key] : undefined
    if (reason !== undefined) to.notCarried(at, key, reason.why, reason.hint)
    else
      to.notCarried(
        at,
        key,
        'it is no key that cloud-init is known to have',
        suggestion(
          key,
          knownKeys.filter((known) => known.length < 30),
        )?.replace(/^known here:.*/s, 'check its spelling'),
      )
  }
}
