import { UserError } from '../errors.ts'
import { dumpYaml } from '../util/yaml.ts'
import {
  cloudConfigKeys,
  isCloudConfigKey,
  type CloudCommand,
  type CloudConfigDocument,
  type CloudConfigKey,
  type CloudFile,
  type CloudPackage,
  type CloudUser,
} from './document.ts'
import { gzipReproducible } from './gzip.ts'

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

/**
 * Builds a cloud-config document step by step. Immutable: every method returns a new builder and leaves this one as it is.
 * All methods throw a UserError (exit code 2) for values that cloud-init would refuse or misread.
 */
export class CloudConfigBuilder {
  readonly #document: CloudConfigDocument

  constructor(document: CloudConfigDocument = {}) {
    this.#document = document
  }

  /** Adds a file to `write_files`. */
  writeFile(file: FileSpec): CloudConfigBuilder {
    return this.#append('write_files', cloudFile(file))
  }

  /** Adds a command to `runcmd`: once per instance, final stage. An argv is not seen by a shell, a string is. */
  runCommand(command: CloudCommand): CloudConfigBuilder {
    return this.#append('runcmd', checkedCommand(command))
  }

  /** Adds a command to `bootcmd`: every boot, early. */
  bootCommand(command: CloudCommand): CloudConfigBuilder {
    return this.#append('bootcmd', checkedCommand(command))
  }

  /** Adds packages for the distribution's package manager. */
  package(...packages: readonly CloudPackage[]): CloudConfigBuilder {
    return this.#append('packages', ...packages)
  }

  /** Adds a user; `'default'` stands for the image's own one, which is left out once `users` has any entry. */
  user(user: CloudUser | 'default'): CloudConfigBuilder {
    if (user !== 'default' && !/^[a-z_][a-z0-9_-]*\$?$/.test(user.name)) {
      throw invalid(`'${user.name}' is no user name`, 'use lower-case letters, digits, _ and -, a letter first')
    }
    return this.#append('users', user)
  }

  /** Sets the host name, without domain. */
  hostname(name: string): CloudConfigBuilder {
    if (!/^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(name)) {
      throw invalid(`'${name}' is no host name`, 'use up to 63 letters, digits and -, and set fqdn for a domain')
    }
    return this.set('hostname', name)
  }

  /** Adds public keys for the default user. */
  authorizedKey(...publicKeys: readonly string[]): CloudConfigBuilder {
    return this.#append('ssh_authorized_keys', ...publicKeys)
  }

  /** Sets a top-level key, replacing what was there. */
  set<K extends CloudConfigKey>(key: K, value: NonNullable<CloudConfigDocument[K]>): CloudConfigBuilder {
    if (!isCloudConfigKey(key)) {
      // Reached from JavaScript or a cast only; cloud-init itself would ignore the key silently.
      throw invalid(`unknown cloud-config key '${String(key)}'`, `known keys: ${cloudConfigKeys.join(', ')}`)
    }
    return new CloudConfigBuilder({ ...this.#document, [key]: value })
  }

  /** The document as plain data, a copy that shares nothing with the builder. Keys are sorted, lists keep their order. */
  toObject(): CloudConfigDocument {
    return copy(this.#document, []) as CloudConfigDocument
  }

  /** The document as text, `#cloud-config` first, LF, the same for equal documents. */
  render(): string {
    return `#cloud-config\n${dumpYaml(this.toObject())}`
  }

  #append<K extends 'write_files' | 'runcmd' | 'bootcmd' | 'packages' | 'users' | 'ssh_authorized_keys'>(
    key: K,
    ...items: NonNullable<CloudConfigDocument[K]>[number][]
  ): CloudConfigBuilder {
    return new CloudConfigBuilder({ ...this.#document, [key]: [...(this.#document[key] ?? []), ...items] })
  }
}

/** Starts an empty cloud-config document. */
export function cloudConfig(): CloudConfigBuilder {
  return new CloudConfigBuilder()
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

function invalid(message: string, hint?: string): UserError {
  return new UserError(`cloud-config: ${message}`, { exitCode: 2, ...(hint === undefined ? {} : { hint }) })
}
