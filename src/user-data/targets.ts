/** Where a user-data document is handed over, and what that place takes. */
export interface UserDataTarget {
  /** For messages. */
  readonly title: string
  /** Bytes of the document as it is, before any encoding of the transport. */
  readonly limitBytes: number
  /** Whether the platform or its tools encode the document on the way; it is never encoded here. */
  readonly transport: 'as is' | 'base64 by the API client'
  /** Whether a host can get credentials from the platform, so that none need to be in the document. */
  readonly instanceRoles: boolean
  /** Where the limit is written down. */
  readonly source: string
}

export const userDataTargets = {
  nocloud: {
    title: 'NoCloud',
    limitBytes: 16_384,
    transport: 'as is',
    instanceRoles: false,
    source: 'cloud-init has no limit for NoCloud; held to that of aws, so that what was tested locally fits there too',
  },
  aws: {
    title: 'AWS EC2',
    limitBytes: 16_384,
    transport: 'base64 by the API client',
    instanceRoles: true,
    source: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html: 16 KB before base64',
  },
} as const satisfies Record<string, UserDataTarget>

export type TargetName = keyof typeof userDataTargets

export const targetNames = Object.keys(userDataTargets) as readonly TargetName[]

/** True for the name of a supported target. */
export function isTargetName(name: string): name is TargetName {
  return Object.hasOwn(userDataTargets, name)
}
