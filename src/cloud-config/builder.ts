import { UserError } from '../errors.ts'
import { suggestion } from '../util/nearest.ts'
import { dumpYaml } from '../util/yaml.ts'
import type {
  AptSource,
  CloudCommand,
  CloudConfigDocument,
  CloudConfigKey,
  CloudFile,
  CloudPackage,
  CloudUser,
  ItemOf,
  ListKey,
} from './document.ts'
import { documentKeys } from './generated-keys.ts'
import { gzipReproducible } from './gzip.ts'
import { invalid } from './invalid.ts'
import { mergeDocuments, type MergeRules } from './merge.ts'
import { findUnknownKey } from './unknown-keys.ts'

/** A file for `writeFile`. */
export interface FileSpec {
  /** Absolute path on the host. */
  readonly path: string
  readonly content: string | Uint8Array
  /** Three or four octal digits as a string, e.g. `0600`; cloud-init takes `0644` where absent. */
  readonly permissions?: string
  /** `user:group`. The user must exist before the file is written: with users made by the same document set `defer`. */
  readonly owner?: string
  /** How the content travels; `text` for strings and `base64` for bytes where absent. */
  readonly encoding?: 'text' | 'gzip' | 'base64'
  readonly append?: boolean
  /** Write in the final stage, after users and packages. */
  readonly defer?: boolean
}

/** An entry of fstab for `mount`. */
export interface MountSpec {
  /** A device, `LABEL=…`, `UUID=…`, or a name of the cloud's metadata such as `ephemeral0`. */
  readonly device: string
  /** Absolute mount point; `none` for swap. */
  readonly path: string
  /** cloud-init takes `auto` where absent. */
  readonly type?: string
  /** cloud-init takes `defaults,nofail` and waits for its own network stage where absent. */
  readonly options?: string
}

/** What `render` may add. */
export interface RenderOptions {
  /**
   * Mark the document as a Jinja template: cloud-init replaces `{{ v1.region }}` and the like by instance data before it
   * reads the YAML. It then interprets every `{{`, `{%` and `{#` of the document, those in file contents too.
   */
  readonly jinja?: boolean
}

/**
 * Builds a cloud-config document step by step. Immutable: every method returns a new builder and leaves this one as it is.
 * All methods throw a UserError (exit code 2) for values that cloud-init would refuse, misread or, as it does with unknown
 * keys, ignore.
 */
export class CloudConfigBuilder {
  readonly #document: CloudConfigDocument

  constructor(document: CloudConfigDocument = {}) {
    checkKeys(document)
    this.#document = document
  }

  /**
   * Adds a file to `write_files`: once per instance, in the network stage, before users and packages are there; with
   * `defer` in the final stage, after them.
   */
  writeFile(file: FileSpec): CloudConfigBuilder {
    return this.#append('write_files', cloudFile(file))
  }

  /**
   * Adds a command to `runcmd`: once per instance, in the final stage. An argv is not seen by a shell, a line is. All
   * commands become one script for `sh` that goes on after a failure and ends with the status of the last.
   */
  runCommand(command: CloudCommand): CloudConfigBuilder {
    return this.#append('runcmd', checkedCommand(command))
  }

  /** Adds a command to `bootcmd`: at every boot, in the network stage, before all other modules but `seed_random`. */
  bootCommand(command: CloudCommand): CloudConfigBuilder {
    return this.#append('bootcmd', checkedCommand(command))
  }

  /** Adds packages for the distribution's package manager: once per instance, final stage, before `runcmd` runs. */
  package(...packages: readonly CloudPackage[]): CloudConfigBuilder {
    return this.#append('packages', ...packages)
  }

  /**
   * Adds a user: once per instance, in the network stage, after `write_files`. `'default'` stands for the image's own one,
   * which is left out once `users` has any entry. cloud-init changes little about a user that exists already.
   */
  user(user: CloudUser | 'default'): CloudConfigBuilder {
    // The name of a snap user comes from elsewhere.
    const known = user === 'default' || user.snapuser !== undefined
    if (!known && !/^[a-z_][a-z0-9_-]*\$?$/.test(user.name ?? '')) {
      throw invalid(`'${user.name ?? ''}' is no user name`, 'use lower-case letters, digits, _ and -, a letter first')
    }
    return this.#append('users', user)
  }

  /** Adds a group with members to `groups`, made before the users: once per instance, network stage. */
  group(name: string, members: readonly string[] = []): CloudConfigBuilder {
    if (!/^[a-z_][a-z0-9_-]*$/.test(name)) {
      throw invalid(`'${name}' is no group name`, 'use lower-case letters, digits, _ and -, a letter first')
    }
    return this.#append('groups', members.length === 0 ? name : { [name]: members })
  }

  /**
   * Adds a source of packages for apt, by the name of its file in /etc/apt/sources.list.d: once per instance, in the config
   * stage, before packages are installed. In `source` cloud-init replaces `$MIRROR`, `$RELEASE` and `$KEY_FILE`; `key` is
   * the armoured key itself, `keyid` one that is fetched from `keyserver`.
   */
  aptSource(name: string, source: AptSource): CloudConfigBuilder {
    const apt = this.#document.apt ?? {}
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw invalid(`'${name}' is no name for an apt source`, 'use letters, digits, ., _ and -')
    }
    if (source.source === undefined && source.key === undefined && source.keyid === undefined) {
      throw invalid(`the apt source '${name}' has neither a line nor a key`, `give 'source', 'key' or 'keyid'`)
    }
    if (Object.hasOwn(apt.sources ?? {}, name)) throw invalid(`there are two apt sources '${name}'`)
    return this.set('apt', { ...apt, sources: { ...apt.sources, [name]: source } })
  }

  /** Adds certificates (PEM) that the system trusts: once per instance, network stage. */
  caCertificate(...certificates: readonly string[]): CloudConfigBuilder {
    const wrong = certificates.find((text) => !text.includes('-----BEGIN CERTIFICATE-----'))
    if (wrong !== undefined)
      throw invalid('a CA certificate is no PEM text', 'it begins with -----BEGIN CERTIFICATE-----')
    const known = this.#document.ca_certs ?? {}
    return this.set('ca_certs', { ...known, trusted: [...(known.trusted ?? []), ...certificates] })
  }

  /** Adds a line to /etc/fstab and mounts it: once per instance, network stage. */
  mount({ device, path, type, options }: MountSpec): CloudConfigBuilder {
    if (!path.startsWith('/') && path !== 'none') throw invalid(`'${path}' is no absolute path to mount at`)
    const fields = [device, path, type ?? (options === undefined ? undefined : 'auto'), options]
    return this.#append(
      'mounts',
      fields.filter((field) => field !== undefined),
    )
  }

  /** Sets the host name, without domain: once per instance, and again at later boots where it was not changed by hand. */
  hostname(name: string): CloudConfigBuilder {
    if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name)) {
      throw invalid(`'${name}' is no host name`, 'use up to 63 letters, digits and -, and set fqdn for a domain')
    }
    return this.set('hostname', name)
  }

  /** Adds public keys for the default user: once per instance, network stage. */
  authorizedKey(...publicKeys: readonly string[]): CloudConfigBuilder {
    return this.#append('ssh_authorized_keys', ...publicKeys)
  }

  /** Sets a top-level key, replacing what was there. */
  set<K extends CloudConfigKey>(key: K, value: NonNullable<CloudConfigDocument[K]>): CloudConfigBuilder {
    // A copy: what the caller does to its value later must not change a builder.
    return new CloudConfigBuilder({ ...this.#document, [key]: copy(value, [key]) })
  }

  /**
   * This document with another one merged into it, here and now, by rules that are written down: left to cloud-init, the
   * later of two documents replaces whole lists of the earlier. Maps are always merged key by key.
   */
  merge(other: CloudConfigBuilder, rules: MergeRules = {}): CloudConfigBuilder {
    return new CloudConfigBuilder(mergeDocuments(this.toObject(), other.toObject(), rules))
  }

  /** The document as plain data, a copy that shares nothing with the builder. Keys are sorted, lists keep their order. */
  toObject(): CloudConfigDocument {
    return copy(this.#document, []) as CloudConfigDocument
  }

  /** The document as text, `#cloud-config` first, LF, the same for equal documents. */
  render(options: RenderOptions = {}): string {
    const template = options.jinja === true ? '## template: jinja\n' : ''
    return `${template}#cloud-config\n${dumpYaml(this.toObject())}`
  }

  #append<K extends ListKey>(key: K, ...items: readonly ItemOf<K>[]): CloudConfigBuilder {
    const present: unknown = this.#document[key] ?? []
    if (!Array.isArray(present)) {
      throw invalid(`'${key}' was set to something else than a list, so nothing can be added to it`)
    }
    return this.set(key, [...present, ...items] as NonNullable<CloudConfigDocument[K]>)
  }
}

/** Starts a cloud-config document: empty, or from plain data. */
export function cloudConfig(document: CloudConfigDocument = {}): CloudConfigBuilder {
  return new CloudConfigBuilder(copy(document, []) as CloudConfigDocument)
}

function checkKeys(document: CloudConfigDocument): void {
  const found = findUnknownKey(document, { keys: documentKeys }, '')
  if (found === undefined) return
  const { key, path, known } = found
  // Reached from JavaScript or a cast only; cloud-init itself ignores such keys, or fails on the host.
  const message = path === '' ? `unknown cloud-config key '${key}'` : `unknown key '${key}' in ${path.slice(1)}`
  throw invalid(message, suggestion(key, known))
}

function cloudFile(file: FileSpec): CloudFile {
  if (!file.path.startsWith('/') || file.path.endsWith('/')) {
    throw invalid(`'${file.path}' is no absolute path of a file`)
  }
  if (file.permissions !== undefined && !/^[0-7]{3,4}$/.test(file.permissions)) {
    throw invalid(
      `${file.path}: permissions '${file.permissions}' are not octal`,
      `give three or four digits 0 to 7, e.g. '0644'`,
    )
  }
  return {
    path: file.path,
    ...encodedContent(file),
    ...(file.owner === undefined ? {} : { owner: file.owner }),
    ...(file.permissions === undefined ? {} : { permissions: file.permissions }),
    ...(file.append === undefined ? {} : { append: file.append }),
    ...(file.defer === undefined ? {} : { defer: file.defer }),
  }
}

function encodedContent(file: FileSpec): Pick<CloudFile, 'content' | 'encoding'> {
  const encoding = file.encoding ?? (typeof file.content === 'string' ? 'text' : 'base64')
  switch (encoding) {
    case 'gzip':
      return { encoding: 'gz+b64', content: gzipReproducible(file.content).toString('base64') }
    case 'base64':
      return { encoding: 'b64', content: toBytes(file.content).toString('base64') }
    case 'text':
      return { content: textContent(file) }
    default:
      throw invalid(`${file.path}: unknown encoding '${String(encoding)}'`, `use 'text', 'gzip' or 'base64'`)
  }
}

function toBytes(content: string | Uint8Array): Buffer {
  return typeof content === 'string' ? Buffer.from(content, 'utf8') : Buffer.from(content)
}

function textContent(file: FileSpec): string {
  if (typeof file.content === 'string') {
    return file.content
  }
  try {
    // ignoreBOM keeps a leading BOM as the content that it is.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file.content)
  } catch (error) {
    throw new UserError(`${file.path}: the content is not UTF-8 text`, {
      hint: `use the encoding 'base64' or 'gzip'`,
      exitCode: 2,
      cause: error,
    })
  }
}

function checkedCommand(command: CloudCommand): CloudCommand {
  if (command.length === 0 || command[0] === '') {
    throw invalid('a command is empty', 'give a command line, or an argv with the program first')
  }
  return command
}

/** Sorted keys at the top level only: below it the order is for people (path before content). */
function copy(value: unknown, path: readonly string[]): unknown {
  if (typeof value === 'string') {
    // A lone surrogate has no UTF-8 form, so PyYAML on the host refuses the whole document.
    if (/\p{Surrogate}/u.test(value)) throw invalid(`${path.join('.')}: not valid Unicode`)
    return value
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => copy(item, [...path, String(index)]))
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  const ordered = path.length === 0 ? entries.toSorted(([a], [b]) => (a < b ? -1 : 1)) : entries
  return Object.fromEntries(ordered.map(([key, member]) => [key, copy(member, [...path, key])]))
}
