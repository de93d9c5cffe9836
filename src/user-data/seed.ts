import { randomUUID } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { writeSeedIso } from '../vm/seed.ts'
import type { UserData } from './render.ts'

export interface SeedOptions {
  readonly recipe: string
  readonly userData: UserData
  /** A new one where absent: a machine that has seen this one before does not take the boot for its first. */
  readonly instanceId?: string
  /** From the recipe's name and the instance id where absent. */
  readonly hostname?: string
  /** The text of cloud-init's network-config. */
  readonly networkConfig?: string
  /** Where a folder is served. */
  readonly url?: string
}

/** A seed of NoCloud that was written. */
export interface WrittenSeed {
  readonly kind: 'folder' | 'iso'
  readonly path: string
  readonly instanceId: string
  readonly hostname: string
  /** Arguments with which QEMU shows the seed to the guest. */
  readonly qemu: readonly [option: string, value: string]
  /** For a folder: what a kernel's command line says instead. */
  readonly kernel?: string
}

/** The usual place of a server on this machine, as a guest on QEMU's user network sees it. */
const defaultUrl = 'http://10.0.2.2:8000/'

/**
 * Writes the documents of NoCloud into a folder, to be served by HTTP, or into an ISO image where the path ends in `.iso`.
 * They may hold a secret key, so nobody else may read them. Throws a UserError (exit code 2) for values that cloud-init or
 * QEMU would misread.
 */
export async function writeSeed(
  path: string,
  options: SeedOptions,
  context: Pick<Context, 'reporter' | 'signal'>,
): Promise<WrittenSeed> {
  const { userData, networkConfig, instanceId = `iid-${randomUUID()}` } = options
  const { hostname = defaultHostname(options.recipe, instanceId) } = options
  const metaData = metaDataText(instanceId, hostname)
  if (path.endsWith('.iso')) {
    const seed = { userData: userData.bytes, metaData, ...(networkConfig === undefined ? {} : { networkConfig }) }
    await writeSeedIso(path, seed, context)
    await chmod(path, 0o600)
    return { kind: 'iso', path, instanceId, hostname, qemu: ['-drive', isoDrive(path)] }
  }
  const source = `ds=nocloud-net;s=${seedUrl(options.url ?? defaultUrl)}`
  const documents: Readonly<Record<string, string | Uint8Array>> = {
    'user-data': userData.bytes,
    'meta-data': metaData,
    // Asked for over HTTP, whether there is one or not; what is missing costs a boot its retries.
    'vendor-data': '',
    'network-config': networkConfig ?? '',
  }
  for (const [name, content] of Object.entries(documents)) {
    await writeFileAtomic(join(path, name), content, 0o600, { durable: false })
  }
  // `nocloud-net` is what all versions take: up to 24.2 plain `nocloud` reads no URL.
  return {
    kind: 'folder',
    path,
    instanceId,
    hostname,
    qemu: ['-smbios', `type=1,serial=${qemuValue(source)}`],
    kernel: source,
  }
}

/** At most 63 characters, as a host name may have. */
function defaultHostname(recipe: string, instanceId: string): string {
  return `${recipe.slice(0, 54)}-${instanceId.slice(-8)}`.replaceAll(/[^A-Za-z0-9-]/g, '-')
}

function metaDataText(instanceId: string, hostname: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(instanceId)) {
    throw invalid(`'${instanceId}' is no instance id`, 'use letters, digits, ., _ and -')
  }
  if (!/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(hostname)) {
    throw invalid(`'${hostname}' is no host name`, 'use letters, digits, - and .')
  }
  return `instance-id: ${instanceId}\nlocal-hostname: ${hostname}\n`
}

/** With the slash at the end that cloud-init puts names behind. */
function seedUrl(url: string): string {
  if (!/^https?:\/\/[^\s;'"?#]+$/.test(url) || !URL.canParse(url)) {
    throw invalid(`'${url}' is no URL of a seed`, 'give http(s)://host[:port]/path/, without query')
  }
  return url.replace(/\/*$/, '/')
}

function isoDrive(path: string): string {
  return `file=${qemuValue(path)},if=virtio,format=raw,readonly=on`
}

/** In QEMU's options a comma ends a value; written twice it is one. */
function qemuValue(text: string): string {
  return text.replaceAll(',', ',,')
}

function invalid(message: string, hint: string): UserError {
  return new UserError(message, { hint, exitCode: 2 })
}
