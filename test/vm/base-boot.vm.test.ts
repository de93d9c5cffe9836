import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { buildBase } from '../../src/base/index.ts'
import type { Context } from '../../src/context.ts'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { loadConfig } from '../../src/load-config.ts'
import { plainReporter } from '../../src/report/reporters.ts'
import { tempDir } from '../../src/system/temp.ts'
import { probeAccelerator } from '../../src/vm/accelerator.ts'
import { writeSeedIso } from '../../src/vm/seed.ts'
import type { Firmware } from '../../src/vm/firmware.ts'
import { startVm } from '../../src/vm/vm.ts'
import { fullOnly } from './support.ts'

let context: Context

beforeAll(async () => {
  context = {
    config: await loadConfig(import.meta.dirname),
    reporter: plainReporter({ stream: process.stderr, verbose: false, quiet: false }),
    signal: new AbortController().signal,
  }
})

/**
 * Runs at the end of the first boot. In the background, for cloud-init cannot be waited for from within. The port is opened
 * once for both directions: the kernel allows no second opening.
 */
const userData = `\
#cloud-config
runcmd:
- [ sh, -c, 'echo "MARK $(hostname) on $(stat -fc %T /)" > /dev/console' ]
- |
  (
    cloud-init status --wait > /dev/null
    echo "STATUS $(cloud-init status) $(python3 -c 'import json; print(json.load(open("/run/cloud-init/result.json"))["v1"]["errors"])')"
    echo "WARNINGS $(grep -c WARNING /var/log/cloud-init.log)"
    echo "FAILED $(systemctl list-units --failed --no-legend | wc -l)"
    echo "FIRMWARE $(test -d /sys/firmware/efi && echo uefi || echo bios)"
    echo "ROOT $(findmnt -no SOURCE /) $(. /etc/os-release && echo "$ID-$VERSION_ID")"
    echo "KEYS $(ls /etc/ssh/ssh_host_*_key | wc -l)"
    echo "MACHINE $(cat /etc/machine-id | wc -c)"
    getent hosts localhost > /dev/null && echo "RESOLVES"
    read answer && echo "HEARD $answer"
  ) <> /dev/virtio-ports/parbake.0 >&0 2>&1 &
`

/** Debian 13 by UEFI adds nothing that the others do not show. */
test.each<readonly [string, Firmware]>([
  ['debian-12', 'bios'],
  ['debian-12', 'uefi'],
  ['debian-13', 'bios'],
])('%s boots by %s', (name, firmware) => boots(name, firmware))

test.runIf(fullOnly)('debian-13 boots by uefi', () => boots('debian-13', 'uefi'))

/** It runs user-data without a warning, talks on the channel and powers off. */
async function boots(name: string, firmware: Firmware): Promise<void> {
  const base = await buildBase(name, context)
  await using folder = await tempDir('test-boot')
  const disk = join(folder.path, 'disk.qcow2')
  const seed = join(folder.path, 'seed.iso')
  await createOverlay(disk, base.path)
  await writeSeedIso(seed, { userData, metaData: `instance-id: ${randomUUID()}\nlocal-hostname: guest-1\n` }, context)
  await using vm = await startVm({
    ...{ disk, seed, firmware, channel: true, consoleLog: join(folder.path, 'console.log') },
    ...{ memoryMiB: context.config.vm.memoryMiB, cpus: context.config.vm.cpus },
    accelerator: await probeAccelerator(context.config.vm.accelerator),
    timeoutSeconds: 110,
  })
  expect((await vm.waitForLine(/MARK (.*)/, 60)).match[1]).toBe('guest-1 on ext2/ext3')
  const answer = async (pattern: RegExp) => (await vm.waitForChannelLine(pattern, 30)).match[1]
  expect(await answer(/^STATUS (.*)$/)).toBe('status: done []')
  expect(await answer(/^WARNINGS (.*)$/)).toBe('0')
  expect(await answer(/^FAILED (.*)$/)).toBe('0')
  expect(await answer(/^FIRMWARE (.*)$/)).toBe(firmware)
  expect(await answer(/^ROOT (.*)$/)).toBe(`/dev/vda1 ${name}`)
  expect(await answer(/^KEYS (.*)$/)).toBe('3')
  expect(await answer(/^MACHINE (.*)$/)).toBe('33')
  await vm.waitForChannelLine(/^RESOLVES$/, 30)
  vm.sendChannelLine('over')
  expect(await answer(/^HEARD (.*)$/)).toBe('over')
  expect(await vm.powerOff()).toBe(true)
  expect(await vm.exited).toEqual({ code: 0, signal: null })
}
