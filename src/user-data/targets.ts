/** Where a user-data document is handed over, and what that place takes. */
export interface UserDataTarget {
  /** For messages. */
  readonly title: string
  /** Bytes, counted as `counts` says; Infinity where there is no limit. */
  readonly limitBytes: number
  /**
   * What the limit is about. `document`: its bytes, before the transport encodes them. `base64`: its base64 form.
   * `value`: what is handed over, so base64 only where `gzip` asks for that.
   */
  readonly counts: 'document' | 'base64' | 'value'
  /**
   * How a compressed document travels. `binary`: as bytes. `base64`: as text that cloud-init decodes there. `never`: the
   * place takes text only, and cloud-init would not decode it.
   */
  readonly gzip: 'binary' | 'base64' | 'never'
  /** Whether a host can get credentials from the platform that the agent can use, so that none need to be in the document. */
  readonly instanceRoles: boolean
  /** Where the limit is written down. */
  readonly source: string
}

export const userDataTargets = {
  nocloud: {
    title: 'NoCloud',
    limitBytes: 16_384,
    counts: 'document',
    gzip: 'binary',
    instanceRoles: false,
    source: 'cloud-init has no limit for NoCloud; held to that of aws, so that what was tested locally fits there too',
  },
  aws: {
    title: 'AWS EC2',
    limitBytes: 16_384,
    counts: 'document',
    gzip: 'binary',
    instanceRoles: true,
    source: 'https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html: 16 KB before base64',
  },
  openstack: {
    title: 'OpenStack',
    limitBytes: 65_535,
    counts: 'base64',
    gzip: 'binary',
    instanceRoles: false,
    source: 'Nova, nova/api/openstack/compute/schemas/servers.py: maxLength 65535 of the base64 text',
  },
  azure: {
    title: 'Azure',
    limitBytes: 65_535,
    counts: 'document',
    gzip: 'binary',
    instanceRoles: false,
    source: 'VirtualMachineOSProfile.customData of the Azure SDKs: at most 65535 bytes once decoded',
  },
  gcp: {
    title: 'Google Cloud',
    limitBytes: 262_144,
    counts: 'value',
    gzip: 'base64',
    instanceRoles: false,
    source:
      'Compute Engine API, Metadata.items[].value: at most 262144 bytes; text, so gzip goes with user-data-encoding',
  },
  digitalocean: {
    title: 'DigitalOcean',
    limitBytes: 65_536,
    counts: 'value',
    gzip: 'never',
    instanceRoles: false,
    source: 'DigitalOcean API, Droplet user_data: plain text of at most 64 KiB',
  },
  hetzner: {
    title: 'Hetzner Cloud',
    limitBytes: 32_768,
    counts: 'value',
    gzip: 'base64',
    instanceRoles: false,
    source: 'Hetzner Cloud API, server user_data: limited to 32 KiB; cloud-init decodes base64 there',
  },
  oracle: {
    title: 'Oracle Cloud',
    limitBytes: 32_000,
    counts: 'base64',
    gzip: 'binary',
    instanceRoles: false,
    source:
      'OCI API, LaunchInstanceDetails.metadata: at most 32,000 bytes with all other metadata; user_data is base64',
  },
  alibaba: {
    title: 'Alibaba Cloud ECS',
    limitBytes: 16_384,
    counts: 'document',
    gzip: 'binary',
    instanceRoles: false,
    source: 'https://www.alibabacloud.com/help/doc-detail/52012.htm: 16 KB before base64',
  },
  vsphere: {
    title: 'VMware vSphere',
    limitBytes: 524_288,
    counts: 'base64',
    gzip: 'base64',
    instanceRoles: false,
    source: 'vSphere API, CustomizationCloudinitPrep.userdata: at most 524288 bytes; for guestinfo none is documented',
  },
  libvirt: {
    title: 'libvirt',
    limitBytes: Infinity,
    counts: 'document',
    gzip: 'never',
    instanceRoles: false,
    source: 'none: virt-install puts the document into an ISO image',
  },
  proxmox: {
    title: 'Proxmox VE',
    limitBytes: Infinity,
    counts: 'document',
    gzip: 'never',
    instanceRoles: false,
    source: 'none documented: qm puts the snippet into an ISO image',
  },
} as const satisfies Record<string, UserDataTarget>

export type TargetName = keyof typeof userDataTargets

export const targetNames = Object.keys(userDataTargets) as readonly TargetName[]

/** True for the name of a supported target. */
export function isTargetName(name: string): name is TargetName {
  return Object.hasOwn(userDataTargets, name)
}

/** Bytes that count against a target's limit for a document of `documentBytes`, compressed or not. */
export function countedBytes(target: TargetName, compressed: boolean, documentBytes: number): number {
  const { counts, gzip }: UserDataTarget = userDataTargets[target]
  const encoded = counts === 'base64' || (counts === 'value' && compressed && gzip === 'base64')
  return encoded ? Math.ceil(documentBytes / 3) * 4 : documentBytes
}
