import { UserError } from '../errors.ts'

/** What two systems are compared by. */
export const kinds = ['file', 'package', 'user', 'group', 'unit', 'port', 'sysctl', 'module'] as const
export type Kind = (typeof kinds)[number]

/** What can differ about a thing of each kind, besides that it is not there at all (`existence`). */
export const aspectsOf = {
  /** `content` is the digest of a file, the target of a link or the numbers of a device. */
  file: ['existence', 'type', 'mode', 'owner', 'group', 'content', 'attributes'],
  package: ['existence', 'version', 'mark'],
  user: ['existence', 'id', 'home', 'shell', 'about', 'password'],
  group: ['existence', 'id', 'members'],
  unit: ['enabled', 'state'],
  port: ['existence', 'process'],
  sysctl: ['existence', 'value'],
  module: ['existence'],
} as const satisfies Readonly<Record<Kind, readonly string[]>>

export type Aspect = (typeof aspectsOf)[Kind][number]

/** One thing: its aspects as texts that are equal where the things are. */
export type Item = Readonly<Partial<Record<Aspect, string>>>

/** What bootstrap/inventory.sh said about a system. */
export interface Inventory {
  /** By kind, then by name: the path of a file, `name:arch` of a package, `tcp 0.0.0.0:22` of a port. */
  readonly items: Readonly<Record<Kind, ReadonlyMap<string, Item>>>
  /** sha256 of what the host calls itself: `hostname`, and `dhcp` where it sends an identity of its own. */
  readonly identity: ReadonlyMap<string, string>
  /** Kinds that the system had no tool to look at, e.g. `ports`. */
  readonly lacks: ReadonlySet<string>
}

const fileTypes: Readonly<Record<string, string>> = {
  f: 'file',
  d: 'folder',
  l: 'link',
  c: 'character device',
  b: 'block device',
  p: 'fifo',
  s: 'socket',
}

type FileRecord = readonly [string, number, number, number, number, string, string, Readonly<Record<string, string>>]

/** Reads what `inventory.sh print` wrote. Throws UserError (code `inventory-damaged`) where it is cut off or unreadable. */
export function parseInventory(text: string, source: string): Inventory {
  const damaged = (why: string, cause?: unknown) =>
    new UserError(`the inventory of ${source} is damaged: ${why}`, { code: 'inventory-damaged', cause })
  const lines = text.split('\n')
  if (lines[0] !== 'inventory\t1') throw damaged('it does not begin as one')
  if (lines.at(-2) !== 'end' || lines.at(-1) !== '') throw damaged('its end is missing')
  const raw = new RawInventory()
  for (const [index, line] of lines.slice(1, -2).entries()) {
    try {
      raw.add(line)
    } catch (error) {
      throw damaged(`line ${index + 2} is no record: ${line.slice(0, 80)}`, error)
    }
  }
  return raw.finish()
}

/** Collects records; some mean something only together with others. */
class RawInventory {
  readonly #files: FileRecord[] = []
  readonly #packages = new Map<string, string>()
  readonly #manual = new Set<string>()
  readonly #users = new Map<string, { uid: string; gid: string; item: Item }>()
  readonly #passwords = new Map<string, string>()
  readonly #groups = new Map<string, { gid: string; item: Item }>()
  readonly #units = new Map<string, { enabled: string; state: string }>()
  readonly #ports = new Map<string, Set<string>>()
  readonly #sysctls = new Map<string, string>()
  readonly #modules = new Map<string, Item>()
  readonly #identity = new Map<string, string>()
  readonly #lacks = new Set<string>()

  add(line: string): void {
    const [word, ...fields] = line.split('\t')
    if (word === 'file') return this.#addFile(line.slice('file\t'.length))
    const [name, ...rest] = fields
    if (name === undefined || name === '') throw new TypeError('a record without a name')
    this.#addFact(word ?? '', name, rest)
  }

  #addFile(json: string): void {
    const record = JSON.parse(json) as FileRecord
    if (!Array.isArray(record) || record.length !== 8) throw new TypeError('no file record')
    this.#files.push(record)
  }

  #addFact(word: string, name: string, fields: readonly string[]): void {
    const [first = '', second = '', third = '', fourth = '', fifth = ''] = fields
    switch (word) {
      case 'user':
        this.#users.set(name, {
          uid: first,
          gid: second,
          item: { id: `${first}:${second}`, home: third, shell: fourth, about: fifth },
        })
        return
      case 'group': {
        const members = second.split(',').filter((member) => member !== '')
        this.#groups.set(name, { gid: first, item: { id: first, members: members.toSorted().join(',') } })
        return
      }
      case 'shadow':
        this.#passwords.set(name, first)
        return
      case 'package':
        // Removed packages whose configuration is left are in dpkg's list too.
        this.#packages.set(name, second === 'installed' ? first : `${first} (${second})`)
        return
      case 'manual':
        this.#manual.add(name)
        return
      case 'unit-file':
        this.#unit(name).enabled = first
        return
      case 'unit':
        this.#unit(name).state = unitState(name, first, second)
        return
      case 'port':
        this.#addPort(`${name} ${first}:${second}`, third)
        return
      case 'sysctl': {
        const earlier = this.#sysctls.get(name)
        this.#sysctls.set(name, earlier === undefined ? fields.join('\t') : `${earlier}\n${fields.join('\t')}`)
        return
      }
      case 'module':
        this.#modules.set(name, {})
        return
      case 'identity':
        this.#identity.set(name, first)
        return
      case 'lack':
        this.#lacks.add(name)
        return
      default:
        throw new TypeError(`unknown word ${word}`)
    }
  }

  #unit(name: string): { enabled: string; state: string } {
    const unit = this.#units.get(name) ?? { ...missingUnit }
    this.#units.set(name, unit)
    return unit
  }

  /** Several processes may share a port, as workers do. */
  #addPort(key: string, users: string): void {
    const names = this.#ports.get(key) ?? new Set()
    for (const [, name = ''] of users.matchAll(/\("([^"]*)",pid=/g)) names.add(name)
    this.#ports.set(key, names)
  }

  finish(): Inventory {
    const userNames = new Map([...this.#users].map(([name, { uid }]) => [uid, name]))
    const groupNames = new Map([...this.#groups].map(([name, { gid }]) => [gid, name]))
    return {
      items: {
        file: new Map(this.#files.map((record) => [record[5], fileItem(record, userNames, groupNames)])),
        package: new Map([...this.#packages].map(([name, version]) => [name, { version, mark: this.#mark(name) }])),
        user: new Map(
          [...this.#users].map(([name, { item }]) => [
            name,
            { ...item, password: this.#passwords.get(name) ?? 'unknown' },
          ]),
        ),
        group: new Map([...this.#groups].map(([name, { item }]) => [name, item])),
        unit: this.#units,
        port: new Map([...this.#ports].map(([key, names]) => [key, { process: [...names].toSorted().join(',') }])),
        sysctl: new Map([...this.#sysctls].map(([name, value]) => [name, { value }])),
        module: this.#modules,
      },
      identity: this.#identity,
      lacks: this.#lacks,
    }
  }

  #mark(name: string): string {
    return this.#manual.has(name) || this.#manual.has(name.replace(/:[^:]*$/, '')) ? 'manual' : 'auto'
  }
}

/** What a unit that a system does not know is like: not there and not running. */
export const missingUnit: { readonly enabled: string; readonly state: string } = {
  enabled: 'absent',
  state: 'inactive',
}

/** Only services are told apart further: a timer that is elapsed or waits is the same timer. */
function unitState(name: string, active: string, sub: string): string {
  return active === 'active' && name.endsWith('.service') ? `active (${sub})` : active
}

function fileItem(
  [type, mode, uid, gid, size, , held, attributes]: FileRecord,
  userNames: ReadonlyMap<string, string>,
  groupNames: ReadonlyMap<string, string>,
): Item {
  return {
    type: fileTypes[type] ?? type,
    mode: mode.toString(8).padStart(4, '0'),
    owner: `${uid} ${userNames.get(String(uid)) ?? '(no name)'}`,
    group: `${gid} ${groupNames.get(String(gid)) ?? '(no name)'}`,
    content: type === 'f' ? `${size} bytes, sha256 ${held}` : held,
    attributes: Object.entries(attributes)
      .map(([name, value]) => `${name}=${value}`)
      .toSorted()
      .join(' '),
  }
}
