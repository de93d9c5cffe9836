import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../src/system/run.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { writeSeedIso } from '../../src/vm/seed.ts'
import { guest, scriptPath, scripts, type Bench, type Contender } from './contender.ts'
import { measure } from './measure.ts'

/** `zstd` has qemu-img compress as fast as it can, which takes an option that few templates use. */
function packer(name: string, zstd: boolean): Contender {
  return {
    name,
    needs: [
      { debianPackage: 'packer', proof: { program: 'packer' } },
      { debianPackage: 'qemu-system-x86', proof: { program: 'qemu-system-x86_64' } },
      { debianPackage: 'xorriso', proof: { program: 'xorriso' } },
      { debianPackage: 'openssh-client', proof: { program: 'ssh-keygen' } },
    ],
    async bake(bench, folder, done) {
      const template = await writeTemplate(bench, folder, zstd)
      const { seconds, peakMiB } = await measure('packer', ['build', '-color=false', template], {
        cwd: folder,
        log: bench.log,
        signal: bench.signal,
        env: {
          ...process.env,
          HOME: folder,
          TMPDIR: folder,
          PACKER_CACHE_DIR: join(folder, 'cache'),
          PACKER_CONFIG_DIR: folder,
          CHECKPOINT_DISABLE: '1',
        },
      })
      const disk = join(folder, 'out', 'disk.qcow2')
      await done(name, { seconds, peakMiB, sizeBytes: (await stat(disk)).size }, disk)
    },
  }
}

export const packers: readonly Contender[] = [packer('packer', false), packer('packer-zstd', true)]

/** Key, seed and template; all that Packer leaves to the user, so none of it is on the clock. */
async function writeTemplate(bench: Bench, folder: string, zstd: boolean): Promise<string> {
  const tools = { reporter: silentReporter, signal: bench.signal }
  const [key, seed, template] = ['key', 'seed.iso', 'template.json'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  // Old Packer cannot use RSA keys with a recent OpenSSH.
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'packer', '-f', key], tools)
  const { stdout: publicKey } = await run('ssh-keygen', ['-y', '-f', key], tools)
  await mkdir(join(folder, 'cache'), { recursive: true })
  const userData = [
    '#cloud-config',
    'disable_root: false',
    'users: []',
    'ssh_genkeytypes: [ed25519]',
    `ssh_authorized_keys: ['${publicKey.trim()}']`,
    '',
  ].join('\n')
  await writeSeedIso(seed, { userData, metaData: 'instance-id: iid-packer\nlocal-hostname: packer\n' }, tools)
  await writeFile(template, JSON.stringify(packerTemplate(bench, { folder, key, seed, zstd }), null, 2))
  return template
}

interface Files {
  readonly folder: string
  readonly key: string
  readonly seed: string
  readonly zstd: boolean
}

/** Everything that makes Packer's QEMU builder faster without making it do less. */
function packerTemplate(bench: Bench, { folder, key, seed, zstd }: Files): unknown {
  const output = join(folder, 'out')
  const drive = 'if=virtio,cache=unsafe,discard=unmap,detect-zeroes=unmap,format=qcow2'
  const accel = bench.accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi'
  return {
    builders: [
      {
        type: 'qemu',
        accelerator: bench.accelerator,
        iso_url: bench.basePath,
        iso_checksum: 'none',
        disk_image: true,
        format: 'qcow2',
        // Else it becomes 40 GB, and the guest has to grow its file system.
        skip_resize_disk: true,
        vm_name: 'disk.qcow2',
        output_directory: output,
        memory: guest.memoryMiB,
        cpus: guest.cpus,
        headless: true,
        disable_vnc: true,
        // A negative wait is none; zero would be the default of ten seconds.
        boot_wait: '-1s',
        net_device: 'virtio-net',
        disk_interface: 'virtio',
        ssh_username: 'root',
        ssh_private_key_file: key,
        ssh_timeout: '15m',
        ssh_handshake_attempts: 1000,
        shutdown_command: 'systemctl poweroff',
        skip_compaction: false,
        disk_compression: true,
        ...(zstd ? { qemu_img_args: { convert: ['-o', 'compression_type=zstd', '-m', '16', '-W'] } } : {}),
        qemuargs: [
          ['-machine', 'type=q35'],
          ['-accel', accel],
          ['-cpu', bench.accelerator === 'kvm' ? 'host' : 'max'],
          ['-device', 'virtio-rng-pci'],
          ['-device', 'virtio-net-pci,netdev=user.0,romfile='],
          ['-drive', `file=${join(output, 'disk.qcow2')},${drive}`],
          ['-drive', `file=${seed},if=virtio,format=raw,readonly=on`],
        ],
      },
    ],
    provisioners: [
      // Else the first step runs into cloud-init's own work on apt.
      { type: 'shell', inline: ['cloud-init status --wait >/dev/null'] },
      ...scripts.map((name) => ({ type: 'shell', script: scriptPath(name) })),
      { type: 'shell', script: new URL('sanitise.sh', import.meta.url).pathname },
    ],
  }
}
