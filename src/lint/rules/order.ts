import { posix } from 'node:path'
import { commandOfFile, unitOfFile, type Effects, type Mention } from '../effects.ts'
import type { LintedRecipe, LintedStep, Report, Rule } from '../model.ts'
import { broughtBy } from '../packages.ts'

/** Folders that every system has: whoever makes one gives nobody anything. */
const everywhere: ReadonlySet<string> = new Set([
  ...['/', '/boot', '/etc', '/home', '/media', '/mnt', '/opt', '/root', '/run', '/srv', '/tmp', '/usr', '/var'],
  ...['/usr/bin', '/usr/lib', '/usr/local', '/usr/local/bin', '/usr/local/lib', '/usr/local/sbin', '/usr/local/share'],
  ...['/usr/local/etc', '/usr/sbin', '/usr/share', '/usr/share/keyrings', '/var/cache', '/var/lib', '/var/log'],
  ...['/var/opt', '/var/spool', '/var/tmp', '/etc/apt', '/etc/apt/apt.conf.d', '/etc/apt/keyrings'],
  ...[
    '/etc/apt/preferences.d',
    '/etc/apt/sources.list.d',
    '/etc/cron.d',
    '/etc/cron.daily',
    '/etc/default',
    '/etc/ssh',
  ],
  ...['/etc/logrotate.d', '/etc/modules-load.d', '/etc/profile.d', '/etc/security', '/etc/ssl', '/etc/ssl/certs'],
  ...['/etc/sudoers.d', '/etc/sysctl.d', '/etc/systemd', '/etc/systemd/system', '/etc/tmpfiles.d', '/etc/udev/rules.d'],
])

type Kind = 'path' | 'account' | 'command' | 'unit'

/** Who makes what: by kind and name, in the order of the steps. */
class Makers {
  private readonly byThing = new Map<string, LintedStep[]>()

  constructor(steps: readonly LintedStep[]) {
    for (const step of steps) for (const [kind, name] of madeBy(step.effects)) this.add(kind, name, step)
  }

  private add(kind: Kind, name: string, step: LintedStep): void {
    const key = `${kind} ${name}`
    const known = this.byThing.get(key)
    if (known === undefined) this.byThing.set(key, [step])
    else if (known.at(-1) !== step) known.push(step)
  }

  of(kind: Kind, name: string): readonly LintedStep[] {
    return this.byThing.get(`${kind} ${name}`) ?? []
  }
}

function madeBy(effects: Effects): (readonly [Kind, string])[] {
  const made: (readonly [Kind, string])[] = []
  for (const { what } of effects.folders) if (!everywhere.has(what)) made.push(['path', what])
  for (const { what } of [...effects.files, ...effects.appends]) {
    if (everywhere.has(what)) continue
    made.push(['path', what])
    const command = commandOfFile(what)
    const unit = unitOfFile(what)
    if (command !== undefined) made.push(['command', command])
    if (unit !== undefined) made.push(['unit', unit])
  }
  for (const { what } of effects.accounts) made.push(['account', what])
  for (const { what } of effects.packages) {
    const brought = broughtBy(what)
    for (const command of brought.commands) made.push(['command', command])
    for (const unit of brought.units) made.push(['unit', unit])
    for (const account of brought.accounts) made.push(['account', account])
    for (const folder of brought.folders) if (!everywhere.has(folder)) made.push(['path', folder])
  }
  return made
}

/** What a step uses, as it is to be found among what others make: the most telling name first. */
interface Use {
  readonly kind: Kind
  readonly mention: Mention
  /** Said of the step: `reads /srv/x`. */
  readonly words: string
  /** The path itself counts only where somebody makes it as a whole, as a folder above it does. */
  readonly names: readonly string[]
  readonly writes?: true
}

function usesOf({ usesPaths, usesAccounts, usesCommands, usesUnits, files, appends }: Effects): Use[] {
  const all = (kind: Kind, words: string, mentions: readonly Mention[], writes?: true) =>
    mentions.map((mention): Use => {
      const { what } = mention
      const names = kind === 'path' ? [what, ...foldersAbove(what)] : [what]
      return { kind, mention, words: `${words} ${what}`, names, ...(writes === undefined ? {} : { writes }) }
    })
  return [
    ...all('path', 'uses', usesPaths),
    ...all('path', 'writes', files, true),
    ...all('path', 'adds to', appends, true),
    ...all('account', 'uses the account', usesAccounts),
    ...all('command', 'runs', usesCommands),
    ...all('unit', 'uses the unit', usesUnits),
  ]
}

/** Nearest first, without `/`. */
function foldersAbove(path: string): string[] {
  const folders: string[] = []
  for (let at = posix.dirname(path); at !== '/' && at !== '.'; at = posix.dirname(at)) folders.push(at)
  return folders
}

/** What runs before a step because it, or what it needs, says so; and how many steps say so of it. */
interface Place {
  readonly needed: ReadonlySet<string>
  dependents: number
}

function placesOf(steps: readonly LintedStep[]): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  // Steps come in the order in which they run, so what is needed has been seen.
  for (const { step } of steps) {
    const needed = new Set<string>()
    // The last one first: it mostly needs what the others need too.
    for (const need of step.needs.toReversed()) {
      if (needed.has(need)) continue
      needed.add(need)
      for (const further of places.get(need)?.needed ?? []) needed.add(further)
    }
    for (const name of needed) {
      const place = places.get(name)
      if (place !== undefined) place.dependents += 1
    }
    places.set(step.name, { needed, dependents: 0 })
  }
  return places
}

function checkOrder({ steps }: LintedRecipe, report: Report): void {
  const places = placesOf(steps)
  const loose = steps.filter(({ step }) => {
    const place = places.get(step.name)
    return place !== undefined && place.needed.size + place.dependents < steps.length - 1
  })
  // Where each comes before or after each other, nothing is left unsaid.
  if (loose.length === 0) return
  const makers = new Makers(steps)
  for (const user of loose) {
    const seen = new Set<string>()
    const own = new Set(madeBy(user.effects).map(([kind, name]) => `${kind} ${name}`))
    const ownFolders = new Set(user.effects.folders.map(({ what }) => what))
    for (const use of usesOf(user.effects)) {
      for (const [index, name] of use.names.entries()) {
        // A folder that the step makes itself is there, whoever makes it too.
        const isOwn = own.has(`${use.kind} ${name}`) && (index > 0 || use.kind !== 'path')
        if (isOwn || (use.kind === 'path' && ownFolders.has(name))) break
        // Of two that write one file, the later one is told.
        const isWritten = index === 0 && use.writes === true
        const others = makers
          .of(use.kind, name)
          .filter((maker) => maker !== user && !(isWritten && steps.indexOf(maker) > steps.indexOf(user)))
        if (others.length === 0) continue
        if (!others.some((maker) => isOrdered(user, maker, places)) && !seen.has(others[0]?.step.name ?? '')) {
          seen.add(others[0]?.step.name ?? '')
          reportUse(user, others[0], use, report)
        }
        break
      }
    }
  }
}

/** In either direction: that a step uses what a later one changes may well be meant. */
function isOrdered(
  { step: user }: LintedStep,
  { step: maker }: LintedStep,
  places: ReadonlyMap<string, Place>,
): boolean {
  return (
    places.get(user.name)?.needed.has(maker.name) === true || places.get(maker.name)?.needed.has(user.name) === true
  )
}

function reportUse(user: LintedStep, maker: LintedStep | undefined, use: Use, report: Report): void {
  if (maker === undefined) return
  const { name } = maker.step
  const alone = user.step.needs.length === 0 ? 'says that it stands alone' : 'does not need it'
  report({
    message: `step '${user.step.name}' ${use.words}, which step '${name}' makes, but ${alone}`,
    location: use.mention.offset === undefined ? user.locate('needs') : user.locateMention(use.mention),
    step: user,
    fix: `add '${name}' to its needs, so that it runs after it, is baked only with it and runs again when it changes`,
  })
}

export const orderRules: readonly Rule[] = [
  {
    id: 'needs-missing',
    severity: 'warning',
    finds: 'a step uses a path, command, account or unit that another step makes, without needing it',
    why:
      'Only needs decide what runs before what, what is baked together and what runs again after a change. A step that ' +
      'leaves a need out works as long as the order in the file happens to be right, and then fails, or bakes stale ' +
      'content, when a step moves, runs in parallel or is baked alone.',
    fix: "add the other step to the step's needs",
    example: {
      bad: `- name: data
  type: script
  needs: []
  run: seq 1 9 >/srv/numbers
- name: sum
  type: script
  needs: []
  run: sort -r /srv/numbers >/srv/sorted`,
      good: `- name: data
  type: script
  needs: []
  run: seq 1 9 >/srv/numbers
- name: sum
  type: script
  needs: [data]
  run: sort -r /srv/numbers >/srv/sorted`,
    },
    check: checkOrder,
  },
]
