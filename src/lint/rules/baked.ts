import { expandBraces, globSource } from '../../seal/glob.ts'
import { sealList } from '../../seal/list.ts'
import type { Mention } from '../effects.ts'
import type { LintedRecipe, LintedScript, LintedStep, Report, Rule } from '../model.ts'
import { hasOption, operands, optionValue, type Call } from '../shell/call.ts'
import type { ShellScript, Word } from '../shell/model.ts'
import { inScripts } from './scripts.ts'

/** Something in a script that gives another result on each host or at each time. */
interface Source {
  readonly offset: number
  /** Said of the step: "reads the host's name". */
  readonly does: string
  readonly call?: Call
}

const fixBaked =
  'give the step when: instance (or boot), or bake: never; or move what depends on the instance into a step of its own'

/** A rule about what is only true of the system that the bake runs in. */
function bakedRule(
  text: Omit<Rule, 'check' | 'severity' | 'fix'>,
  find: (script: LintedScript) => Iterable<Source>,
): Rule {
  const check = inScripts(({ step, script, report }) => {
    if (!step.mayBeBaked) return
    const lines = new Set<number | undefined>()
    for (const { offset, does, call } of find(script)) {
      // One finding for each line says it.
      const { line } = script.locate(offset)
      if (lines.has(line)) continue
      lines.add(line)
      report(offset, `step '${step.step.name}' ${does}, but may be baked`, call)
    }
  })
  return { ...text, severity: 'warning', fix: fixBaked, check }
}

/** Paths, anywhere in a word, whose content names the machine. */
const identityPaths: readonly (readonly [RegExp, string])[] = [
  [/\/etc\/machine-id\b|\/var\/lib\/dbus\/machine-id\b/, 'reads the machine id'],
  [/\/etc\/hostname\b/, "uses the host's name"],
  [/\/etc\/ssh\/ssh_host_/, "uses the host's SSH keys"],
  [/\/proc\/sys\/kernel\/random\/boot_id\b/, 'reads the boot id'],
  [/\/proc\/sys\/kernel\/hostname\b/, "reads the host's name"],
  [
    /\/sys\/class\/dmi\/id\/(?:product_uuid|product_serial|board_serial|chassis_asset_tag)\b/,
    "reads the machine's serial",
  ],
  [/\/sys\/class\/net\/[^/\s]+\/address\b/, 'reads a hardware address'],
  [/\/(?:run\/cloud-init|var\/lib\/cloud)\/(?:instance|data|instances)/, "reads cloud-init's data of the instance"],
  [
    /\b169\.254\.169\.254\b|\bfd00:ec2::254\b|\bmetadata\.google\.internal\b|\b100\.100\.100\.200\b/,
    'asks the metadata service',
  ],
]

const identityVariables: Readonly<Record<string, string>> = {
  HOSTNAME: "uses the host's name ($HOSTNAME)",
  PARBAKE_INSTANCE_ID: 'uses $PARBAKE_INSTANCE_ID, which no bake has',
  PARBAKE_RUN_ID: 'uses $PARBAKE_RUN_ID, which no bake has',
}

function* identity({ calls, shell, text }: LintedScript): Generator<Source> {
  for (const call of calls) {
    const does = identityCall(call)
    if (does !== undefined) yield { offset: call.word.offset, does, call }
  }
  // Most scripts have none of them, and there may be thousands of scripts.
  if (identityPaths.some(([pattern]) => pattern.test(text))) yield* identityWords(shell)
  for (const { name, offset } of shell.expansions) {
    const does = Object.hasOwn(identityVariables, name) ? identityVariables[name] : undefined
    if (does !== undefined && !isSet(shell.commands, name)) yield { offset, does }
  }
}

function* identityWords({ commands }: ShellScript): Generator<Source> {
  for (const command of commands) {
    if (isRemoval(command.words)) continue
    const words = [
      ...command.words,
      ...command.assignments.map(({ value }) => value),
      ...command.redirects.filter(({ operator }) => operator === '<').map(({ target }) => target),
    ]
    for (const word of words) {
      const does = hasCommands(word) ? undefined : identityPaths.find(([pattern]) => pattern.test(word.text))?.[1]
      if (does !== undefined) yield { offset: word.offset, does }
    }
  }
}

/** Their words come by themselves. */
function hasCommands({ raw }: Word): boolean {
  return /\$\(|`|[<>]\(/.test(raw)
}

/** What removes an identity, or empties it, does what a bake wants. */
function isRemoval([name]: readonly Word[]): boolean {
  return name !== undefined && /^(?:rm|truncate|shred)$/.test(name.text)
}

function isSet(commands: LintedScript['shell']['commands'], name: string): boolean {
  return commands.some(({ assignments }) => assignments.some((assignment) => assignment.name === name))
}

function identityCall({ name, args }: Call): string | undefined {
  const [first] = operands(args)
  switch (name) {
    case 'hostname':
      if (hasOption(args, '-I', '-i', '--all-ip-addresses', '--ip-address')) return "reads the host's addresses"
      return first === undefined && !hasOption(args, '-F', '--file', '-b') ? "reads the host's name" : undefined
    case 'hostnamectl':
      return first === undefined || first.text === 'status' || hasOption(args, '--static')
        ? "reads the host's name"
        : undefined
    case 'uname':
      return hasOption(args, '-n', '-a', '--nodename', '--all') ? "reads the host's name" : undefined
    case 'ip':
      return /^(?:a|addr|address|r|route|link|l|neigh)$/.test(first?.text ?? '') &&
        !/^(?:add|del|delete|set|flush|replace|change)$/.test(operands(args)[1]?.text ?? '')
        ? "reads the host's network"
        : undefined
    case 'ifconfig':
      return args.length <= 1 ? "reads the host's network" : undefined
    case 'systemd-machine-id-setup':
      return 'makes the machine id'
    case 'systemd-id128':
      return /^(?:machine|boot)-id$/.test(first?.text ?? '') ? 'reads the machine id' : undefined
    case 'ssh-keygen':
      return hasOption(args, '-A') ? "makes the host's SSH keys" : undefined
    case 'ssh-keyscan':
      return /^(?:localhost|127\.0\.0\.1|::1)$/.test(first?.text ?? '') ? "reads the host's SSH keys" : undefined
    case 'cloud-init':
      return first?.text === 'query' ? "reads cloud-init's data of the instance" : undefined
    case 'ec2metadata':
    case 'ec2-metadata':
      return 'asks the metadata service'
    case 'dmidecode':
      return "reads the machine's serial"
    default:
      return undefined
  }
}

function* time({ calls, shell }: LintedScript): Generator<Source> {
  for (const call of calls) {
    const { name, args } = call
    const fixed = optionValue(args, '-d', '--date', '-r', '--reference', '-f', '--file')
    // `date -d yesterday` is another day tomorrow; `date -d @0` is not.
    const isFixed = fixed !== undefined && !/\b(?:now|today|yesterday|tomorrow|ago|next|last)\b|^[+-]/.test(fixed.text)
    if (name === 'date' && !isFixed && !hasOption(args, '-s', '--set')) {
      yield { offset: call.word.offset, does: 'reads the time', call }
    }
  }
  for (const { name, offset } of shell.expansions) {
    if (/^EPOCH(?:SECONDS|REALTIME)$/.test(name)) yield { offset, does: `reads the time ($${name})` }
  }
}

function* random({ calls, shell, text }: LintedScript): Generator<Source> {
  for (const call of calls) {
    const { name, args } = call
    const [first] = operands(args)
    const does =
      name === 'uuidgen' || name === 'pwgen' || name === 'mcookie' || name === 'shuf'
        ? `takes what is random (${name})`
        : name === 'openssl' && /^(?:rand|genrsa|genpkey|dhparam)$/.test(first?.text ?? '')
          ? `takes what is random (openssl ${first?.text})`
          : name === 'openssl' && first?.text === 'req' && hasOption(args, '-newkey', '-x509')
            ? 'makes a key (openssl req)'
            : name === 'ssh-keygen' && hasOption(args, '-t') && !hasOption(args, '-A')
              ? 'makes a key (ssh-keygen)'
              : name === 'wg' && first?.text === 'genkey'
                ? 'makes a key (wg genkey)'
                : undefined
    if (does !== undefined) yield { offset: call.word.offset, does, call }
  }
  for (const command of /random/.test(text) ? shell.commands : []) {
    const words = [...command.words, ...command.redirects.map(({ target }) => target)]
    for (const word of words) {
      if (hasCommands(word)) continue
      const path = /^(?:if=)?(\/dev\/u?random|\/proc\/sys\/kernel\/random\/uuid)$/.exec(word.text)?.[1]
      if (path !== undefined) yield { offset: word.offset, does: `takes what is random (${path})` }
    }
  }
  for (const { name, offset } of shell.expansions) {
    if (name === 'RANDOM' || name === 'SRANDOM') yield { offset, does: `takes what is random ($${name})` }
  }
}

/** What the seal removes and a step may well write in the belief that it stays; `home-cache` and logs nobody misses. */
const sealed = sealList
  .filter(({ id, must }) => (must.kind === 'absent' || must.kind === 'is' || id === 'machine-id') && !isUnmissed(id))
  .map((entry) => ({ entry, pattern: new RegExp(`^(?:${sourceOf(entry.paths)})(?:/.*)?$`) }))

function sourceOf(paths: readonly string[]): string {
  // Nested braces give the same more than once.
  const plain = new Set(paths.flatMap(expandBraces))
  return [...plain].map((path) => globSource(path, ['/root', '/home/[^/]+'])).join('|')
}

function isUnmissed(id: string): boolean {
  return /^(?:logs-old|home-cache|package-cache|tmp-files|lost-found|shell-history|program-history)$/.test(id)
}

/** What is gone with the bake: removed by the seal, or in memory only. */
const temporary: readonly (readonly [RegExp, string])[] = [
  [/^\/(?:var\/)?tmp\//, 'the seal removes it (temporary files)'],
  [/^\/(?:var\/)?run\//, 'it is in memory only'],
]

function checkSealed({ steps }: LintedRecipe, report: Report): void {
  for (const step of steps) {
    if (!step.mayBeBaked) continue
    const { files, appends, folders } = step.effects
    for (const mention of [...files, ...appends, ...folders]) {
      const why = whyGone(mention, step, steps)
      if (why === undefined) continue
      report({
        message: `step '${step.step.name}' writes ${mention.what} and may be baked, but ${why}`,
        location: step.locateMention(mention),
        step,
      })
    }
  }
}

/** Undefined where it is not gone, or where nobody is known to miss it. */
function whyGone({ what, offset }: Mention, step: LintedStep, steps: LintedRecipe['steps']): string | undefined {
  const found = sealed.find(({ pattern }) => pattern.test(what))
  if (found !== undefined) return `the seal removes it (${found.entry.why})`
  const why = temporary.find(([pattern]) => pattern.test(what))?.[1]
  if (why === undefined) return undefined
  const reader = otherUser(steps, step, what)
  if (reader !== undefined) return `${why}, and step '${reader}' uses it`
  // Scripts keep there what they need for themselves; a key says that the file is what the step is for.
  return offset === undefined ? why : undefined
}

/** Name of another step that uses what this one leaves in a folder for temporary files. */
function otherUser(steps: LintedRecipe['steps'], own: LintedStep, path: string): string | undefined {
  return steps.find(
    (other) =>
      other !== own && other.effects.usesPaths.some(({ what }) => what === path || what.startsWith(`${path}/`)),
  )?.step.name
}

export const bakedRules: readonly Rule[] = [
  bakedRule(
    {
      id: 'bakes-identity',
      finds:
        "a step that may be baked reads the host's name, addresses, machine id, metadata, SSH host keys or instance id",
      why:
        'A baked step runs once, in the system in which the image is made. What it reads of that system is the same on ' +
        'every host of the image then: the name, address and keys of a machine that is gone.',
      example: {
        bad: `- name: motd
  type: script
  run: echo "this is $(hostname)" >/etc/motd`,
        good: `- name: motd
  type: script
  when: instance
  run: echo "this is $(hostname)" >/etc/motd`,
      },
    },
    identity,
  ),
  bakedRule(
    {
      id: 'bakes-time',
      finds: 'a step that may be baked reads the time',
      why:
        'A baked step runs when the image is made, days or weeks before a host starts from it. It also makes two bakes ' +
        'of the same recipe differ.',
      example: {
        bad: `- name: stamp
  type: script
  run: date >/etc/provisioned`,
        good: `- name: stamp
  type: script
  when: instance
  run: date >/etc/provisioned`,
      },
    },
    time,
  ),
  bakedRule(
    {
      id: 'bakes-random',
      finds: 'a step that may be baked makes keys, identifiers or random numbers',
      why:
        'What is random in a baked step is random once: every host of the image has the same key, password or ' +
        'identifier, and whoever has the image has it too.',
      example: {
        bad: `- name: cookie-key
  type: script
  run: head -c 32 /dev/urandom >/etc/app.key`,
        good: `- name: cookie-key
  type: script
  when: instance
  run: head -c 32 /dev/urandom >/etc/app.key`,
      },
    },
    random,
  ),
  {
    id: 'sealed-path',
    severity: 'warning',
    finds: 'a step that may be baked writes where the seal removes, or to memory only',
    why:
      'Before an image is published, the seal removes what names one machine or is secret: keys in home folders, the ' +
      "machine id, cloud-init's state, temporary files and more (src/seal/list.ts). A baked step is not run again on the " +
      'host, so what it wrote there is missing.',
    fix: 'give the step bake: never, or write to a place that the seal leaves alone',
    example: {
      bad: `- name: deploy-key
  type: template
  content: ssh-ed25519 AAAA deploy
  destination: /root/.ssh/authorized_keys`,
      good: `- name: deploy-key
  type: template
  bake: never
  content: ssh-ed25519 AAAA deploy
  destination: /root/.ssh/authorized_keys`,
    },
    check: checkSealed,
  },
]
