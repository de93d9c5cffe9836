import { documentKeys } from './generated-keys.ts'
import type { CloudConfigDocument, UsersGroupsUser } from './generated-types.ts'

export type { CloudConfigDocument } from './generated-types.ts'

/** A top-level key that the builder knows. */
export type CloudConfigKey = keyof CloudConfigDocument

/** Keys that the builder appends to. */
export type ListKey =
  | 'bootcmd'
  | 'groups'
  | 'mounts'
  | 'packages'
  | 'runcmd'
  | 'ssh_authorized_keys'
  | 'users'
  | 'write_files'

/** What a key's list holds. */
export type ItemOf<K extends CloudConfigKey> = Extract<CloudConfigDocument[K], readonly unknown[]>[number]

/** A command as an argv, run without a shell, or as one line for `sh`. */
export type CloudCommand = readonly string[] | string

/** A package name, or name and version, or packages of one package manager. */
export type CloudPackage = ItemOf<'packages'>

/** One entry of `write_files` as cloud-init reads it. */
export type CloudFile = ItemOf<'write_files'>

/** One entry of `users`. */
export type CloudUser = UsersGroupsUser

/** One entry of `groups`. */
export type CloudGroup = ItemOf<'groups'>

export type Apt = NonNullable<CloudConfigDocument['apt']>

export type AptMirror = NonNullable<Apt['primary']>[number]

/** An entry of `apt.sources`. */
export type AptSource = NonNullable<Apt['sources']>[string]

/** One line of fstab; missing fields get cloud-init's defaults. */
export type CloudMount = ItemOf<'mounts'>

export type SshKeyType = ItemOf<'ssh_genkeytypes'>

/** Every top-level key that the builder knows, sorted. */
export const cloudConfigKeys: readonly CloudConfigKey[] = Object.keys(documentKeys) as CloudConfigKey[]

/** True for keys of CloudConfigDocument. */
export function isCloudConfigKey(key: string): key is CloudConfigKey {
  return Object.hasOwn(documentKeys, key)
}
