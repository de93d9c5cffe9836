import { expect, test } from 'vitest'
import { qemuArgs, type Machine } from '../../src/vm/qemu-args.ts'

const machine: Machine = { accelerator: 'tcg', memoryMiB: 1024, cpus: 2, disk: '/d/disk.qcow2', qmpSocket: '/s/qmp' }

test('the whole command line of a plain machine', () => {
  expect(qemuArgs(machine)).toEqual([
    ...['-name', 'parbake'],
    ...['-nodefaults', '-no-user-config'],
    ...['-machine', 'q35'],
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '2'],
    ...['-m', '1024'],
    ...['-display', 'none', '-vga', 'none'],
    ...['-rtc', 'base=utc'],
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...['-chardev', 'socket,id=qmp,path=/s/qmp', '-mon', 'chardev=qmp,mode=control'],
    ...['-device', 'virtio-rng-pci'],
    '-blockdev',
    '{"driver":"qcow2","node-name":"disk","discard":"unmap","detect-zeroes":"unmap","l2-cache-size":134217728,"cache":{"direct":false,"no-flush":true},"file":{"driver":"file","filename":"/d/disk.qcow2","discard":"unmap","cache":{"direct":false,"no-flush":true}}}',
    ...['-device', 'virtio-blk-pci,drive=disk,bootindex=0,discard_granularity=4096'],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
  ])
})

/** What a change to the machine adds to and takes from its command line. */
function difference(change: Partial<Machine>): { added: string[]; removed: string[] } {
  const before = qemuArgs(machine)
  const after = qemuArgs({ ...machine, ...change })
  return {
    added: after.filter((argument) => !before.includes(argument)),
    removed: before.filter((argument) => !after.includes(argument)),
  }
}

test.each<[string, Partial<Machine>, string[], string[]]>([
  ['KVM', { accelerator: 'kvm' }, ['kvm', 'host'], ['tcg,thread=multi', 'max']],
  ['paused', { paused: true }, ['-S'], []],
  ['a saved state to go on from', { incoming: true }, ['-incoming', 'defer'], []],
  ['a generation id', { generationId: true }, ['vmgenid,guid=auto'], []],
  [
    'a second serial port on a socket',
    { shellSocket: '/s/a,b' },
    ['socket,id=shell,path=/s/a,,b,server=on,wait=off', 'chardev:shell'],
    [],
  ],
  [
    'forwards, on loopback only',
    {
      forwards: [
        { hostPort: 2222, guestPort: 22 },
        { hostPort: 8080, guestPort: 80 },
      ],
    },
    ['user,id=net,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:8080-:80'],
    ['user,id=net'],
  ],
  ['a restricted network', { restrictNetwork: true }, ['user,id=net,restrict=on'], ['user,id=net']],
  [
    'a channel, with a comma in its path',
    { channelSocket: '/s/a,b' },
    ['socket,id=channel,path=/s/a,,b', 'virtio-serial-pci', 'virtserialport,chardev=channel,name=parbake.0'],
    [],
  ],
  [
    'UEFI',
    { uefi: { code: '/o/CODE.fd', vars: '/s/vars.fd' } },
    [
      '{"driver":"raw","node-name":"uefi-code","read-only":true,"file":{"driver":"file","filename":"/o/CODE.fd"}}',
      '{"driver":"raw","node-name":"uefi-vars","read-only":false,"file":{"driver":"file","filename":"/s/vars.fd"}}',
      'q35,pflash0=uefi-code,pflash1=uefi-vars',
    ],
    ['q35'],
  ],
  [
    'a seed, as a virtio drive',
    { seed: '/d/seed.iso' },
    [
      '{"driver":"raw","node-name":"seed","read-only":true,"file":{"driver":"file","filename":"/d/seed.iso","read-only":true}}',
      'virtio-blk-pci,drive=seed,serial=seed',
    ],
    [],
  ],
  [
    'another disk',
    { extraDisks: [{ path: '/d/x"y', format: 'qcow2', readonly: false, serial: 'data' }] },
    [
      '{"driver":"qcow2","node-name":"extra0","read-only":false,"file":{"driver":"file","filename":"/d/x\\"y","read-only":false}}',
      'virtio-blk-pci,drive=extra0,serial=data',
    ],
    [],
  ],
])('%s', (_name, change, added, removed) => {
  expect(difference(change)).toEqual({ added, removed })
})
