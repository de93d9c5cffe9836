import { shQuote } from '../../util/sh-quote.ts'
import type { Collector } from '../collector.ts'
import { isTrue } from './files.ts'
import { itemsOf, mappingOf, textOf, type ConfigItem, type ConfigKey } from './read.ts'

const upgradeText = `#!/bin/sh
set -eu
apt-get -q -y -o DPkg::Lock::Timeout=300 update
apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold dist-upgrade
`

/** Adds the steps of package_update, package_upgrade and packages. */
export function addPackages(config: ReadonlyMap<string, ConfigKey>, to: Collector): void {
  const update = keyed(config, ['package_update', 'apt_update'], to)
  const upgrade = keyed(config, ['package_upgrade', 'apt_upgrade'], to)
  const packages = config.get('packages')
  const names = packages === undefined ? [] : readNames(packages, to)
  const upgrades: string[] = []
  if (upgrade !== undefined && isTrue(upgrade.value)) {
    upgrades.push(to.script({ name: 'upgrade', description: 'Upgrades all packages' }, upgradeText))
  }
  if (upgrade !== undefined) {
    to.carried(upgrade.at, upgrade.key, upgrades, upgrades.length === 0 ? 'says what is so anyway' : undefined)
  }
  const installs =
    names.length === 0
      ? []
      : [
          installStep(
            names.map(({ name }) => name),
            to,
          ),
        ]
  if (packages !== undefined && names.length > 0) to.carried(packages.at, 'packages', installs)
  if (update === undefined) return
  const wanted = isTrue(update.value)
  const updates = [...upgrades, ...installs]
  if (wanted && updates.length === 0) {
    updates.push(to.script({ name: 'package-lists', plain: true }, '#!/bin/sh\nset -eu\napt-get -q update\n'))
  }
  to.carried(update.at, update.key, updates, wanted ? undefined : 'lists are fetched all the same before packages')
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

interface Name {
  readonly name: string
  readonly item: ConfigItem
}

function readNames(key: ConfigKey, to: Collector): readonly Name[] {
  return itemsOf(key).flatMap((item): readonly Name[] => {
    const { value } = item
    const byManager = mappingOf(value)
    const list: readonly unknown[] = Array.isArray(value) ? (value as unknown[]) : []
    const name =
      textOf(value) ?? (list.length === 2 ? list.map((part) => textOf(part) ?? '').join('=') : textOf(list[0]))
    if (name !== undefined && name !== '') return [{ name, item }]
    if (byManager !== undefined) return fromManagers(byManager, item, to)
    to.notCarried(item.at, 'entry of packages', 'it is no package name')
    return []
  })
}

/** `{apt: [...], snap: [...]}` of newer releases. */
function fromManagers(managers: Readonly<Record<string, unknown>>, item: ConfigItem, to: Collector): readonly Name[] {
  return Object.entries(managers).flatMap(([manager, entries]) => {
    const list: readonly unknown[] = Array.isArray(entries) ? (entries as unknown[]) : [entries]
    if (manager === 'apt') {
      return list.flatMap((entry) => {
        const parts: readonly unknown[] = Array.isArray(entry) ? (entry as unknown[]) : [entry]
        const name = parts.map((part) => textOf(part) ?? '').join('=')
        return name === '' ? [] : [{ name, item }]
      })
    }
    to.notCarried(item.at, `packages by ${manager}`, `packages steps install Debian packages, not those of ${manager}`)
    return []
  })
}

/** cloud-init installs recommended packages too, unless the system's apt is told otherwise. */
function installStep(names: readonly string[], to: Collector): string {
  const text = `#!/bin/sh
set -eu
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install \\
${names.map((name) => `  ${/^[\w.+:=~-]+$/.test(name) ? name : shQuote(name)}`).join(' \\\n')}
`
  return to.script(
    { name: 'packages', plain: true, description: 'Installs packages, with those that they recommend' },
    text,
  )
}
