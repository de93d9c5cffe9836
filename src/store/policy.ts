/** For whom a policy is: hosts that provision themselves, who publishes, who bakes. */
export const policyRoles = ['hosts', 'publisher', 'baker'] as const
export type PolicyRole = (typeof policyRoles)[number]

export interface PolicyDocument {
  readonly Version: '2012-10-17'
  readonly Statement: readonly PolicyStatement[]
}

export interface PolicyStatement {
  readonly Sid: string
  readonly Effect: 'Allow'
  readonly Action: readonly string[]
  readonly Resource: readonly string[]
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

interface Grant {
  readonly read: readonly string[]
  readonly write: readonly string[]
  readonly list: readonly string[]
  readonly delete: readonly string[]
}

/** Folders of DESIGN's layout in which every recipe has one of its own; the others are shared. */
const perRecipe: ReadonlySet<string> = new Set([
  ...['bundles', 'channels', 'history', 'rollouts', 'reports', 'rollups', 'images'],
])

/**
 * Folders of DESIGN's layout that each role needs. Nobody but a baker deletes anything but probes and leases, so that a
 * published version cannot be taken away.
 */
const grants: Readonly<Record<PolicyRole, Grant>> = {
  hosts: { read: ['bundles', 'agents', 'channels'], write: ['reports'], list: [], delete: [] },
  publisher: {
    read: ['bundles', 'agents', 'channels', 'history', 'rollouts', 'reports', 'rollups', 'images', 'leases'],
    write: ['bundles', 'agents', 'channels', 'history', 'rollouts', 'rollups', 'leases'],
    list: ['bundles', 'agents', 'channels', 'history', 'rollouts', 'reports', 'rollups', 'images', 'leases'],
    delete: ['leases'],
  },
  baker: {
    read: ['bundles', 'agents', 'channels', 'reports', 'rollups', 'images', 'leases'],
    write: ['images', 'rollups', 'leases'],
    list: ['bundles', 'channels', 'reports', 'rollups', 'images', 'leases'],
    // An interrupted bake takes back what it had uploaded.
    delete: ['images', 'leases'],
  },
}

export interface PolicyScope {
  /** Of the store in the bucket, without slashes at the ends; '' by default. */
  readonly prefix?: string
  /** Allow this recipe only; all by default. */
  readonly recipe?: string
}

/** The least a role can work with, as AWS IAM and MinIO policy. Pure. */
export function storePolicy(
  role: PolicyRole,
  bucket: string,
  { prefix = '', recipe }: PolicyScope = {},
): PolicyDocument {
  const root = prefix === '' ? '' : `${prefix}/`
  const keysIn = (folder: string) =>
    `${root}${folder}/${recipe !== undefined && perRecipe.has(folder) ? `${recipe}/` : ''}*`
  const objects = (folders: readonly string[]) => folders.map((folder) => `arn:aws:s3:::${bucket}/${keysIn(folder)}`)
  const grant = grants[role]
  const allow = (Sid: string, Action: readonly string[], folders: readonly string[]): PolicyStatement[] =>
    folders.length === 0 ? [] : [{ Sid, Effect: 'Allow', Action, Resource: objects(folders) }]
  const list: PolicyStatement = {
    Sid: 'ListObjects',
    Effect: 'Allow',
    Action: ['s3:ListBucket'],
    Resource: [`arn:aws:s3:::${bucket}`],
    Condition: { StringLike: { 's3:prefix': grant.list.map(keysIn) } },
  }
  // Without it a server answers 403 for what is not there, which a first publish could not tell from a wrong key. Such requests
  // have no prefix; neither has a list of the whole bucket, whose names are the price.
  const tellMissing: PolicyStatement = {
    Sid: 'TellMissing',
    Effect: 'Allow',
    Action: ['s3:ListBucket'],
    Resource: [`arn:aws:s3:::${bucket}`],
    Condition: { Null: { 's3:prefix': ['true'] } },
  }
  // Hosts send reports in one put each and need no multipart upload.
  const write = role === 'hosts' ? ['s3:PutObject'] : ['s3:PutObject', 's3:AbortMultipartUpload']
  return {
    Version: '2012-10-17',
    Statement: [
      ...allow('ReadObjects', ['s3:GetObject'], grant.read),
      ...allow('WriteObjects', write, grant.write),
      ...allow('DeleteObjects', ['s3:DeleteObject'], grant.delete),
      ...(grant.list.length === 0 ? [] : [list, tellMissing]),
    ],
  }
}
