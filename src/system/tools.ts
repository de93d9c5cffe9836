import { UserError } from '../errors.ts'
import { findTool } from './find-tool.ts'
import { run } from './run.ts'

/** An outside program that parbake runs. */
export interface ToolSpec {
  readonly name: string
  /** What it is for, to be read after "needed to". */
  readonly purpose: string
  /** The Debian or Ubuntu package that has it. */
  readonly debianPackage: string
  /** Arguments that make it print its version, on stdout or stderr. */
  readonly versionArgs: readonly string[]
  /** Which part of parbake does not work without it. */
  readonly neededFor: 'vm' | 'container' | 'base'
}

/** Every outside program, in the order `parbake doctor` shows them. */
export const toolSpecs: readonly ToolSpec[] = [
  {
    name: 'qemu-system-x86_64',
    purpose: 'run virtual machines',
    debianPackage: 'qemu-system-x86',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'qemu-img',
    purpose: 'create and convert disk images',
    debianPackage: 'qemu-utils',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'dumpe2fs',
    purpose: 'see what a file system does not use',
    debianPackage: 'e2fsprogs',
    versionArgs: ['-V'],
    neededFor: 'vm',
  },
  {
    name: 'debugfs',
    purpose: 'look into a file system without mounting it',
    debianPackage: 'e2fsprogs',
    versionArgs: ['-V'],
    neededFor: 'vm',
  },
  {
    name: 'filefrag',
    purpose: 'see which files of a disk lie in pieces',
    debianPackage: 'e2fsprogs',
    versionArgs: ['-V'],
    neededFor: 'container',
  },
  {
    name: 'qemu-io',
    purpose: 'drop deleted data from a disk',
    debianPackage: 'qemu-utils',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'xorriso',
    purpose: 'write cloud-init seeds and data disks',
    debianPackage: 'xorriso',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'zstd',
    purpose: 'keep the state of a virtual machine between steps',
    debianPackage: 'zstd',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'setpriv',
    purpose: 'make sure that a virtual machine dies with parbake',
    debianPackage: 'util-linux',
    versionArgs: ['--version'],
    neededFor: 'vm',
  },
  {
    name: 'systemd-nspawn',
    purpose: 'bake in a container',
    debianPackage: 'systemd-container',
    versionArgs: ['--version'],
    neededFor: 'container',
  },
  {
    name: 'slirp4netns',
    purpose: 'give a container a network',
    debianPackage: 'slirp4netns',
    versionArgs: ['--version'],
    neededFor: 'container',
  },
  {
    name: 'ip',
    purpose: 'give a container a network',
    debianPackage: 'iproute2',
    versionArgs: ['-V'],
    neededFor: 'container',
  },
  {
    name: 'rsync',
    purpose: 'write what a container holds into a disk',
    debianPackage: 'rsync',
    versionArgs: ['--version'],
    neededFor: 'container',
  },
  {
    name: 'nsenter',
    purpose: 'keep mounts apart',
    debianPackage: 'util-linux',
    versionArgs: ['--version'],
    neededFor: 'container',
  },
  {
    name: 'losetup',
    purpose: 'mount a disk',
    debianPackage: 'mount',
    versionArgs: ['--version'],
    neededFor: 'container',
  },
  {
    name: 'flock',
    purpose: 'keep two builds of one base apart',
    debianPackage: 'util-linux',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
  {
    name: 'mmdebstrap',
    purpose: 'build a base from Debian packages',
    debianPackage: 'mmdebstrap',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
  {
    name: 'tar',
    purpose: 'unpack the file tree of a base',
    debianPackage: 'tar',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
  {
    name: 'mke2fs',
    purpose: 'make the file system of a base',
    debianPackage: 'e2fsprogs',
    versionArgs: ['-V'],
    neededFor: 'base',
  },
  {
    name: 'sfdisk',
    purpose: 'partition the disk of a base',
    debianPackage: 'fdisk',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
  {
    name: 'grub-mkimage',
    purpose: 'make a base bootable',
    debianPackage: 'grub-common',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
  {
    name: 'mkfs.fat',
    purpose: 'make a base bootable by UEFI',
    debianPackage: 'dosfstools',
    versionArgs: ['--help'],
    neededFor: 'base',
  },
  {
    name: 'mcopy',
    purpose: 'make a base bootable by UEFI',
    debianPackage: 'mtools',
    versionArgs: ['--version'],
    neededFor: 'base',
  },
]

export { findTool }

/**
 * Absolute path of a program. Throws UserError with code `tool-missing` that names the package to install; `purpose` is
 * read after "needed to" and defaults to the table's.
 */
export async function needTool(name: string, purpose?: string): Promise<string> {
  const path = await findTool(name)
  if (path !== undefined) return path
  throw missingTool(name, purpose)
}

/** The error of `needTool`, for tools that vanish between the check and the start. */
export function missingTool(name: string, purpose?: string): UserError {
  const spec = toolSpecs.find((candidate) => candidate.name === name)
  const why = purpose ?? spec?.purpose
  return new UserError(`'${name}' was not found${why === undefined ? '' : `, which is needed to ${why}`}`, {
    hint:
      spec === undefined
        ? `install it, or run 'parbake doctor' to see everything that is missing`
        : `install it: apt-get install ${spec.debianPackage} (on Debian and Ubuntu)`,
    code: 'tool-missing',
  })
}

/** The first dotted number in what a tool prints about its version, or undefined. */
export function parseVersion(text: string): string | undefined {
  return /\b(\d+\.\d[\w.+~-]*)/.exec(text)?.[1]?.replace(/[.+~-]+$/, '')
}

export interface FoundTool {
  readonly name: string
  /** Undefined where it is not installed. */
  readonly path: string | undefined
  /** Undefined where it is not installed or does not say. */
  readonly version: string | undefined
}

/** Looks for one program and asks it for its version. */
export async function probeTool(spec: ToolSpec, signal?: AbortSignal): Promise<FoundTool> {
  const path = await findTool(spec.name)
  if (path === undefined) return { name: spec.name, path, version: undefined }
  try {
    const result = await run(path, spec.versionArgs, {
      allowFailure: true,
      timeoutMs: 20_000,
      ...(signal === undefined ? {} : { signal }),
    })
    return { name: spec.name, path, version: parseVersion(`${result.stdout}\n${result.stderr}`) }
  } catch (error) {
    if (error instanceof UserError) return { name: spec.name, path, version: undefined }
    throw error
  }
}

/** Version of a known program, or undefined where it is missing or does not say. */
export async function toolVersion(name: string, signal?: AbortSignal): Promise<string | undefined> {
  const spec = toolSpecs.find((candidate) => candidate.name === name)
  return spec === undefined ? undefined : (await probeTool(spec, signal)).version
}
