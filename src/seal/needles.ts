import { secretIn } from './secret-rules.ts'

/** A byte string that must not be anywhere on a sealed disk. */
export interface Needle {
  /** What is shown of it; never the value. */
  readonly name: string
  readonly bytes: Buffer
}

/** Where needles come from. */
export interface NeedleSources {
  /** The environment that parbake runs in. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Every credential in use, by a name to show: store keys, tokens, passwords. All are taken. */
  readonly credentials?: Readonly<Record<string, string | undefined>>
  /** User-data and meta-data of the baked machine, as text. */
  readonly userData?: string
  /** What the agent reported of the baked machine. */
  readonly report?: { readonly instance: string } | undefined
  /** Names that only the baked machine has. */
  readonly identity?: {
    readonly instanceId?: string | undefined
    /** 32 hexadecimal digits. */
    readonly machineId?: string | undefined
    /** Lines of its `ssh_host_*_key.pub` files. */
    readonly sshHostKeys?: readonly string[]
  }
}

/** Shorter strings are found by chance. */
const shortest = 8
/** More of a string proves no more, and one window serves all. */
const longest = 64

/** Names whose values are neither secret nor told apart from what an image may hold. */
const harmlessName =
  /^(?:HOME|PATH|PWD|OLDPWD|LANG|LANGUAGE|LC_\w+|TERM\w*|COLORTERM|SHELL|SHLVL|USER\w*|LOGNAME|MAIL|EDITOR|VISUAL|PAGER|TZ|TMP|TEMP|TMPDIR|DISPLAY|HOSTNAME|HOSTTYPE|OSTYPE|MACHTYPE|LS_COLORS|DEBIAN_FRONTEND|NODE\w*|npm_\w+|INIT_CWD|VITEST\w*|XDG_\w+|DBUS_SESSION_BUS_ADDRESS|INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_\w+|SSH_AUTH_SOCK|SSH_AGENT_PID|SSH_TTY|GPG_TTY|\w*_?(?:SHA|SHA1|SHA256|COMMIT|REVISION|REF|DIGEST|VERSION))$/
const secretName =
  /SECRET|TOKEN|PASS(?:W|PHRASE|$|_)|PWD|API_?KEY|ACCESS_?KEY|PRIVATE|CREDENTIAL|AUTH|COOKIE|SIGNATURE|_KEY$|^KEY$|DSN/i
/** A setting of user-data whose value is a secret: `name: value`, `name=value`. */
const secretSetting =
  /([\w.-]*(?:secret|token|passw|passphrase|api[_-]?key|access[_-]?key|private|credential)[\w.-]*)["']?\s*[:=]\s*["']?([^\s"'{}[\],]+)/gi

/**
 * What to look for on a disk, decided from what the bake knew: every credential; of the environment what is named like a
 * secret or looks like one; of the user-data secret values and every longer line; what named the machine. Secrets also as
 * Base64 and hexadecimal. Left out is what would be found by chance or is meant to be there: short values, paths, plain
 * words and numbers, settings of shells and of Node.
 */
export function sealNeedles(sources: NeedleSources): readonly Needle[] {
  const secrets = [
    ...Object.entries(sources.credentials ?? {}).flatMap(([name, value]) => named(`credential ${name}`, value)),
    ...Object.entries(sources.environment ?? {})
      .filter(([name, value]) => isSecretSetting(name, value ?? ''))
      .flatMap(([name, value]) => named(`environment variable ${name}`, value)),
    ...userDataSecrets(sources.userData ?? ''),
  ]
  const plain = [
    ...userDataLines(sources.userData ?? ''),
    ...identityNeedles({ instanceId: sources.report?.instance, ...sources.identity }),
  ]
  return unique([...secrets.flatMap(encodings), ...plain])
}

function named(name: string, value: string | undefined): readonly Needle[] {
  const text = value?.trim() ?? ''
  return text.length < shortest ? [] : [{ name, bytes: Buffer.from(text) }]
}

function isSecretSetting(name: string, value: string): boolean {
  if (secretIn(value)) return true
  return namesSecret(name, value) || (!harmlessName.test(name) && looksRandom(value))
}

/** True where a setting is named like a secret, and its value may be one. */
export function namesSecret(name: string, value: string): boolean {
  return !harmlessName.test(name) && secretName.test(name) && !isTrivial(value)
}

/** Paths, URLs without a password, numbers, short words: a name like a secret's does not make them one. */
export function isTrivial(value: string): boolean {
  return (
    /^(?:~|\.{0,2}\/)/.test(value) ||
    /^[a-z][a-z+.-]*:\/\/[^@\s]*$/i.test(value) ||
    /^[\d.,:]+$/.test(value) ||
    /^(?:[a-z]{1,15}|[A-Z]{1,15}|[A-Z][a-z]{1,14})$/.test(value)
  )
}

/** One word of 20 characters or more with letters and digits in no order, as tokens are. */
function looksRandom(value: string): boolean {
  return (
    /^[\w+/=.-]{20,200}$/.test(value) &&
    !isTrivial(value) &&
    /\d/.test(value) &&
    /[a-z]/i.test(value) &&
    entropy(value) > 3.6
  )
}

/** Bits per character, by how often each occurs. */
export function entropy(text: string): number {
  const counts = new Map<string, number>()
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length)
  return bits
}

function userDataSecrets(text: string): readonly Needle[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      [...line.matchAll(secretSetting)].flatMap(([, name = '', value = '']) =>
        isTrivial(value) ? [] : named(`${name} in line ${index + 1} of the user-data`, value),
      ),
    )
}

/** Lines that are long enough to be nobody else's. */
function userDataLines(text: string): readonly Needle[] {
  return text.split('\n').flatMap((line, index) => {
    const content = line.trim()
    return content.length < 32 || content.startsWith('# ') ? [] : named(`line ${index + 1} of the user-data`, content)
  })
}

function identityNeedles(identity: NonNullable<NeedleSources['identity']>): readonly Needle[] {
  const { machineId = '', sshHostKeys = [] } = identity
  const machine = /^[0-9a-f]{32}$/.test(machineId)
    ? [
        { name: 'machine id', bytes: Buffer.from(machineId) },
        {
          name: 'machine id as a UUID',
          bytes: Buffer.from(machineId.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')),
        },
        // As journals hold it.
        { name: 'machine id as bytes', bytes: Buffer.from(machineId, 'hex') },
      ]
    : []
  const hostKeys = sshHostKeys.flatMap((line) => {
    const [type = '', body = ''] = line.trim().split(/\s+/)
    // The beginning is the same for all keys of a type; the end is the key's own.
    return named(`SSH host key ${type}`, body.slice(-longest))
  })
  return [...named('instance id', identity.instanceId), ...machine, ...hostKeys]
}

/** A secret as it is, and as Base64 at every alignment and hexadecimal would hold it. */
function encodings({ name, bytes }: Needle): readonly Needle[] {
  const head = bytes.subarray(0, longest)
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), head])
      .toString('base64')
      .replaceAll('=', '')
    // The first and last characters also hold bits of the neighbours.
    return text.slice(Math.ceil((shift * 4) / 3), Math.floor(((shift + head.length) * 8) / 6))
  })
  return [
    { name, bytes },
    ...base64
      .filter((text) => text.length >= shortest)
      .map((text) => ({ name: `${name}, as Base64`, bytes: Buffer.from(text) })),
    { name: `${name}, as hexadecimal`, bytes: Buffer.from(head.toString('hex')) },
  ]
}

function unique(needles: readonly Needle[]): readonly Needle[] {
  const byBytes = new Map<string, Needle>()
  for (const { name, bytes } of needles) {
    const head = bytes.subarray(0, longest)
    const key = head.toString('latin1')
    if (!byBytes.has(key)) byBytes.set(key, { name, bytes: head })
  }
  return [...byBytes.values()]
}
