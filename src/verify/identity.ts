import { globPattern } from './glob.ts'
import type { Inventory } from './inventory.ts'

/** One part of what makes a host itself, looked at on two launches of one image. */
export interface IdentityCheck {
  readonly name: string
  readonly ok: boolean
  readonly outcome: 'differs' | 'same' | 'absent'
  /** What was looked at, or why there is nothing. */
  readonly detail: string
}

interface IdentityPart {
  readonly name: string
  /** A word of the inventory's `identity` records. */
  readonly fact?: string
  /** Files whose content must not be the same on two hosts. */
  readonly globs?: readonly string[]
  /** A host without it is no whole host. */
  readonly required?: true
  /** What it means that there is none. */
  readonly absent: string
}

/** What must differ between two hosts. Packages make the last ones when they are installed, so that a bake copies them. */
const parts: readonly IdentityPart[] = [
  { name: 'machine-id', globs: ['/etc/machine-id', '/var/lib/dbus/machine-id'], required: true, absent: 'none' },
  { name: 'hostname', fact: 'hostname', required: true, absent: 'none' },
  { name: 'instance-id', globs: ['/var/lib/cloud/data/instance-id'], required: true, absent: 'none' },
  {
    name: 'ssh-host-keys',
    globs: ['/etc/ssh/ssh_host_*_key', '/etc/ssh/ssh_host_*_key.pub', '/etc/dropbear/dropbear_*_host_key'],
    absent: 'no SSH server has host keys here',
  },
  {
    name: 'random-seed',
    globs: ['/var/lib/systemd/random-seed', '/var/lib/urandom/random-seed', '/var/lib/misc/random-seed'],
    absent: 'none is kept here (systemd keeps none in containers)',
  },
  {
    name: 'dhcp-identity',
    fact: 'dhcp',
    globs: ['/var/lib/NetworkManager/secret_key', '/var/lib/dhcpcd/duid', '/var/lib/dhcpcd/secret'],
    absent: "none is sent: the network card's address is what a server knows the host by",
  },
  {
    name: 'generated-secrets',
    globs: [
      '/etc/ssl/private/ssl-cert-snakeoil.key',
      '/etc/iscsi/initiatorname.iscsi',
      '/etc/hostid',
      '/var/lib/systemd/credential.secret',
      '/etc/bind/rndc.key',
      '/etc/corosync/authkey',
      '/etc/munge/munge.key',
    ],
    absent: 'none of the known ones is here',
  },
]

/**
 * Whether two launches of one image are two hosts. Pure. `allowed` are globs of files that the recipe's owner says may be
 * the same.
 */
export function identityChecks(
  first: Inventory,
  second: Inventory,
  allowed: readonly string[] = [],
): readonly IdentityCheck[] {
  const exempt = allowed.map(globPattern)
  return parts.map((part) => {
    const values = (inventory: Inventory) => {
      const found = valuesOf(part, inventory)
      return new Map([...found].filter(([name]) => !exempt.some((pattern) => pattern.test(name))))
    }
    return checkPart(part, values(first), values(second))
  })
}

function checkPart(
  part: IdentityPart,
  first: ReadonlyMap<string, string>,
  second: ReadonlyMap<string, string>,
): IdentityCheck {
  const { name } = part
  if (first.size === 0 && second.size === 0) {
    return { name, ok: part.required !== true, outcome: 'absent', detail: part.absent }
  }
  const same = [...first].filter(([key, value]) => second.get(key) === value).map(([key]) => key)
  if (same.length > 0) {
    return { name, ok: false, outcome: 'same', detail: `the same on both launches: ${same.join(', ')}` }
  }
  return { name, ok: true, outcome: 'differs', detail: [...new Set([...first.keys(), ...second.keys()])].join(', ') }
}

function valuesOf(part: IdentityPart, inventory: Inventory): Map<string, string> {
  const values = new Map<string, string>()
  const fact = part.fact === undefined ? undefined : inventory.identity.get(part.fact)
  if (part.fact !== undefined && fact !== undefined) values.set(part.fact, fact)
  const patterns = (part.globs ?? []).map(globPattern)
  for (const [path, item] of inventory.items.file) {
    // A link's target is no identity of its own.
    if (item.type !== 'file' || item.content === undefined) continue
    if (patterns.some((pattern) => pattern.test(path))) values.set(path, item.content)
  }
  return values
}
