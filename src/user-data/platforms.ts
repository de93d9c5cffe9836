import type { HclValue } from './hcl.ts'
import { outputForms, type OutputForm } from './output-forms.ts'
import type { UserData } from './render.ts'
import type { TargetName } from './targets.ts'

/** A document in the forms that platforms take. */
export interface Handed {
  /** The recipe, for names. */
  readonly name: string
  /** The document in base64. */
  readonly base64: string
  /** The document where a text is wanted: as it is, or in base64 where it is compressed. */
  readonly value: string
  readonly compressed: boolean
}

export interface Platform {
  /** The part of the API's launch template, instance template or request that holds the user-data. */
  readonly api?: (document: Handed) => Readonly<Record<string, unknown>>
  readonly terraform?: {
    readonly value: (document: Handed) => HclValue
    /** Where the value goes: resource, block in it where there is one, attribute. */
    readonly resource: string
    readonly block?: string
    readonly attribute: string
  }
  /** Commands for sh, with the document in the file `$file` and more arguments in `"$@"`. */
  readonly cli: (document: Handed) => readonly string[]
  /** The command line tool reads the document as text, so that it must not be compressed. */
  readonly cliTakesTextOnly?: true
}

/** How each platform is given a document. */
export const platforms: Readonly<Record<TargetName, Platform>> = {
  nocloud: {
    cli: ({ name }) => [
      'seed=$(mktemp -d)',
      `printf 'instance-id: iid-%s\\nlocal-hostname: %s\\n' "$(date +%s)" ${name} >"$seed/meta-data"`,
      'cp "$file" "$seed/user-data"',
      `xorriso -as mkisofs -quiet -V cidata -J -r -o ${name}-seed.iso "$@" "$seed"`,
      'rm -rf "$seed"',
    ],
  },
  aws: {
    api: ({ base64 }) => ({ UserData: base64 }),
    terraform: { value: ({ base64 }) => base64, resource: 'aws_launch_template', attribute: 'user_data' },
    cli: () => [
      command(
        'aws ec2 run-instances',
        '--image-id "${IMAGE_ID:?}"',
        '--instance-type "${INSTANCE_TYPE:?}"',
        '--user-data "fileb://$file"',
      ),
    ],
  },
  openstack: {
    api: ({ base64 }) => ({ server: { user_data: base64 } }),
    terraform: {
      value: ({ base64 }) => base64,
      resource: 'openstack_compute_instance_v2',
      attribute: 'user_data',
    },
    cli: ({ name }) => [
      command(
        'openstack server create',
        '--image "${IMAGE:?}"',
        '--flavor "${FLAVOR:?}"',
        '--user-data "$file"',
        `"$@" "\${NAME:-${name}}"`,
      ),
    ],
  },
  azure: {
    api: ({ base64 }) => ({ osProfile: { customData: base64 } }),
    terraform: { value: ({ base64 }) => base64, resource: 'azurerm_linux_virtual_machine', attribute: 'custom_data' },
    cli: ({ name }) => [
      command(
        'az vm create',
        '--resource-group "${RESOURCE_GROUP:?}"',
        '--image "${IMAGE:?}"',
        `--name "\${NAME:-${name}}"`,
        '--custom-data "$file"',
      ),
    ],
    cliTakesTextOnly: true,
  },
  gcp: {
    api: (document) => ({
      properties: {
        metadata: { items: Object.entries(gcpMetadata(document)).map(([key, value]) => ({ key, value })) },
      },
    }),
    terraform: { value: gcpMetadata, resource: 'google_compute_instance_template', attribute: 'metadata' },
    cli: ({ name, compressed }) => [
      command(
        `gcloud compute instances create "\${NAME:-${name}}"`,
        '--zone "${ZONE:?}"',
        '--image "${IMAGE:?}"',
        '--metadata-from-file "user-data=$file"',
        ...(compressed ? ['--metadata user-data-encoding=base64'] : []),
      ),
    ],
  },
  digitalocean: {
    api: ({ value }) => ({ user_data: value }),
    terraform: { value: ({ value }) => value, resource: 'digitalocean_droplet', attribute: 'user_data' },
    cli: ({ name }) => [
      command(
        `doctl compute droplet create "\${NAME:-${name}}"`,
        '--image "${IMAGE:?}"',
        '--size "${SIZE:?}"',
        '--region "${REGION:?}"',
        '--user-data-file "$file"',
      ),
    ],
  },
  hetzner: {
    api: ({ value }) => ({ user_data: value }),
    terraform: { value: ({ value }) => value, resource: 'hcloud_server', attribute: 'user_data' },
    cli: ({ name }) => [
      command(
        'hcloud server create',
        `--name "\${NAME:-${name}}"`,
        '--image "${IMAGE:?}"',
        '--type "${TYPE:?}"',
        '--user-data-from-file "$file"',
      ),
    ],
  },
  oracle: {
    api: ({ base64 }) => ({ metadata: { user_data: base64 } }),
    terraform: { value: ({ base64 }) => ({ user_data: base64 }), resource: 'oci_core_instance', attribute: 'metadata' },
    cli: () => [
      command(
        'oci compute instance launch',
        '--compartment-id "${COMPARTMENT_ID:?}"',
        '--availability-domain "${AVAILABILITY_DOMAIN:?}"',
        '--shape "${SHAPE:?}"',
        '--subnet-id "${SUBNET_ID:?}"',
        '--image-id "${IMAGE_ID:?}"',
        '--user-data-file "$file"',
      ),
    ],
  },
  alibaba: {
    api: ({ base64 }) => ({ UserData: base64 }),
    terraform: { value: ({ base64 }) => base64, resource: 'alicloud_ecs_launch_template', attribute: 'user_data' },
    cli: () => [
      command(
        'aliyun ecs RunInstances',
        '--RegionId "${REGION_ID:?}"',
        '--ImageId "${IMAGE_ID:?}"',
        '--InstanceType "${INSTANCE_TYPE:?}"',
        `--UserData "$(base64 <"$file" | tr -d '\\n')"`,
      ),
    ],
  },
  vsphere: {
    api: (document) => ({
      extraConfig: Object.entries(guestInfo(document)).map(([key, value]) => ({ key, value })),
    }),
    terraform: { value: guestInfo, resource: 'vsphere_virtual_machine', attribute: 'extra_config' },
    cli: ({ compressed }) => [
      command(
        'govc vm.change -vm "${VM:?}"',
        // A compressed document is in base64 in the file already.
        `-e "guestinfo.userdata=$(${compressed ? 'cat' : 'base64'} <"$file" | tr -d '\\n')"`,
        `-e guestinfo.userdata.encoding=${compressed ? 'gzip+base64' : 'base64'}`,
      ),
    ],
  },
  libvirt: {
    terraform: { value: ({ value }) => value, resource: 'libvirt_cloudinit_disk', attribute: 'user_data' },
    cli: ({ name }) => [
      command(
        'virt-install --import',
        `--name "\${NAME:-${name}}"`,
        '--memory "${MEMORY_MIB:-1024}"',
        '--disk "${DISK:?}"',
        '--osinfo "${OSINFO:-linux2022}"',
        '--cloud-init "user-data=$file"',
      ),
    ],
  },
  proxmox: {
    terraform: {
      value: ({ value }) => value,
      resource: 'proxmox_virtual_environment_file',
      block: 'source_raw',
      attribute: 'data',
    },
    cli: ({ name }) => [
      `install -m 0640 "$file" "\${SNIPPETS:-/var/lib/vz/snippets}/${name}.yaml"`,
      command('qm set "${VM_ID:?}"', `--cicustom "user=\${STORAGE:-local}:snippets/${name}.yaml"`),
    ],
  },
}

/** The forms that a target has. */
export function outputsOf(target: TargetName): readonly OutputForm[] {
  const { api, terraform } = platforms[target]
  const missing: Partial<Record<OutputForm, boolean>> = {
    'launch-template': api === undefined,
    terraform: terraform === undefined,
  }
  return outputForms.filter((form) => missing[form] !== true)
}

/** A document in the forms that platforms take. */
export function handed(name: string, userData: UserData): Handed {
  const base64 = userData.bytes.toString('base64')
  const compressed = userData.format === 'gzip'
  return { name, base64, value: compressed ? base64 : userData.text, compressed }
}

function gcpMetadata({ value, compressed }: Handed): Readonly<Record<string, string>> {
  return { 'user-data': value, ...(compressed ? { 'user-data-encoding': 'base64' } : {}) }
}

function guestInfo({ base64, compressed }: Handed): Readonly<Record<string, string>> {
  return {
    'guestinfo.userdata': base64,
    'guestinfo.userdata.encoding': compressed ? 'gzip+base64' : 'base64',
  }
}

function command(start: string, ...options: readonly string[]): string {
  const rest = options.some((option) => option.startsWith('"$@"')) ? options : [...options, '"$@"']
  return [start, ...rest].join(' \\\n  ')
}
