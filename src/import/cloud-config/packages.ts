import type { Collector } from '../collector.ts'
import { isTrue } from './files.ts'
import { itemsOf, mappingOf, textOf, type ConfigItem, type ConfigKey } from './read.ts'
import { singleStep } from './single.ts'

/** Names that a packages step takes; others, such as patterns, are for the module of cloud-init. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9+._-]*(?<!-)(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~^_-]+)?$/

/** Adds the steps of package_update, package_upgrade and packages. */
export function addPackages(config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  const update = keyed(config, ['package_update', 'apt_update'], to)
  const upgrade = keyed(config, ['package_upgrade', 'apt_upgrade'], to)
  const packages = config.get('packages')
  const names = packages === undefined ? [] : readNames(packages, to)
  const upgrades =
    upgrade !== undefined && isTrue(upgrade.value) ? [byModule('upgrade', { package_upgrade: true }, to)] : []
  if (upgrade !== undefined) {
    to.carried(upgrade.at, upgrade.key, upgrades, upgrades.length === 0 ? 'says what is so anyway' : undefined)
  }
  const plain = names.filter((name) => plainName.test(name))
  const odd = names.filter((name) => !plainName.test(name))
  const installs = [
    ...(plain.length === 0 ? [] : [installStep(plain, to)]),
    ...(odd.length === 0 ? [] : [byModule('packages-by-pattern', { packages: odd }, to)]),
  ]
  if (packages !== undefined && installs.length > 0) to.carried(packages.at, 'packages', installs)
  if (update === undefined) return
  const wanted = isTrue(update.value)
  const updates = [...upgrades, ...installs]
  if (wanted && updates.length === 0) updates.push(byModule('package-lists', { package_update: true }, to))
  to.carried(update.at, update.key, updates, wanted ? undefined : 'lists are fetched all the same before packages')
}

/** cloud-init installs what packages recommend too, unless the host's package manager is told otherwise. */
function installStep(names: readonly string[], to: Collector): string {
  const keys = { type: 'packages', install: names, recommended: true }
  return to.step({ name: 'packages', plain: true, description: 'Packages, with those that they recommend', keys })
}

function byModule(name: string, config: Readonly<Record<string, unknown>>, to: Collector): string {
  const description = name === 'upgrade' ? 'Upgrades all packages' : 'Packages, by cloud-init'
  return singleStep(to, { name, plain: true, description }, ['package_update_upgrade_install'], config)
}

/** The key under its name of today, or under its old one. */
function keyed(
  config: ReadonlyMap<string, ConfigKey>,
  names: readonly [today: string, old: string],
  to: Collector,
): ConfigKey | undefined {
  const [first, second] = names.flatMap((name) => config.get(name) ?? [])
  if (second !== undefined) to.carried(second.at, second.key, [], `${first?.key ?? ''} counts`)
  return first
}

function readNames(key: ConfigKey, to: Collector): readonly string[] {
  return itemsOf(key).flatMap((item): readonly string[] => {
    const byManager = mappingOf(item.value)
    if (byManager !== undefined) return fromManagers(byManager, item, to)
    const name = nameOf(item.value)
    if (name !== undefined) return [name]
    to.notCarried(item.at, 'entry of packages', 'it is no package name')
    return []
  })
}

/** A text, or a list of name and version. */
function nameOf(value: unknown): string | undefined {
  const parts: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : [value]
  const texts = parts.map(textOf).filter((text) => text !== undefined && text !== '')
  return texts.length === parts.length && texts.length > 0 && texts.length < 3 ? texts.join('=') : undefined
}

/** `{apt: [...], snap: [...]}` of newer releases. */
function fromManagers(managers: Readonly<Record<string, unknown>>, item: ConfigItem, to: Collector): readonly string[] {
  return Object.entries(managers).flatMap(([manager, entries]) => {
    const list: readonly unknown[] = Array.isArray(entries) ? (entries as unknown[]) : [entries]
    if (manager === 'apt') return list.flatMap((entry) => nameOf(entry) ?? [])
    to.notCarried(item.at, `packages by ${manager}`, `there is no step that installs packages by ${manager}`)
    return []
  })
}
