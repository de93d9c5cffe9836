import { UserError } from '../../errors.ts'
import type { BaseDefinition } from '../definition.ts'
import { debian12 } from './debian-12.ts'

/** Every base that parbake can build. */
export const baseDefinitions: readonly BaseDefinition[] = [debian12]

export interface Mirrors {
  /** Replaces the definition's archive, e.g. `http://ftp.de.debian.org/debian`. */
  readonly mirror?: string
  /** Replaces the definition's security archive. */
  readonly securityMirror?: string
}

/**
 * The definition of that name with the mirrors replaced: by the arguments, else by PARBAKE_DEBIAN_MIRROR and
 * PARBAKE_DEBIAN_SECURITY_MIRROR. Throws UserError that lists what there is.
 */
export function resolveDefinition(name: string, mirrors: Mirrors = {}, env = process.env): BaseDefinition {
  const definition = baseDefinitions.find((candidate) => candidate.name === name)
  if (definition === undefined) {
    throw new UserError(`there is no base '${name}' that can be built`, {
      hint: `known: ${baseDefinitions.map((known) => known.name).join(', ')}; take any other image in with 'parbake base import'`,
      exitCode: 2,
    })
  }
  const mirror = mirrors.mirror ?? env['PARBAKE_DEBIAN_MIRROR'] ?? definition.mirror
  const securityMirror = mirrors.securityMirror ?? env['PARBAKE_DEBIAN_SECURITY_MIRROR'] ?? definition.securityMirror
  return { ...definition, mirror: checkMirror(mirror), securityMirror: checkMirror(securityMirror) }
}

function checkMirror(mirror: string): string {
  if (!/^(https?|file):\/\/?[^\s'"]+$/.test(mirror)) {
    throw new UserError(`'${mirror}' is no URL of a Debian archive`, {
      hint: 'give one such as http://deb.debian.org/debian',
      exitCode: 2,
    })
  }
  return mirror.replace(/\/+$/, '')
}
