import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { squeezeShell } from '../bundle/squeeze-shell.ts'
import { UserError } from '../errors.ts'
import { launch } from '../launch/launch.ts'
import { reportSchema } from '../profile/report.ts'
import { channelName } from '../vm/qemu-args.ts'
import type { Vm } from '../vm/vm.ts'
import type { HostRunner, VerifyHost } from './host.ts'
import { parseInventory } from './inventory.ts'

/** KVM seconds. */
const limits = { here: 60, settle: 120, converge: 300, print: 120 } as const

/** Hosts as QEMU virtual machines; needs no root. */
export const vmRunner: HostRunner = {
  name: 'vm',
  obstacle: () => Promise.resolve(undefined),
  async start(context, { recipe, channel, disk, role, timeoutSeconds }) {
    const received = new InventoryReceiver()
    const launched = await launch(context, {
      recipe,
      disk,
      channel,
      purpose: 'verify',
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      probe: { vendorData: probeVendorData(), onLine: (line) => received.push(line) },
    })
    const { vm, report } = launched
    const host: VerifyHost = {
      report,
      async settle() {
        await ask(vm, 'settle', /^settled$/, limits.settle)
      },
      async converge() {
        const { match } = await ask(vm, 'converge', /^report (.*)$/, limits.converge)
        return parseReport(match[1] ?? '', role)
      },
      async inventory() {
        await ask(vm, 'print', /^print-end$/, limits.print)
        return parseInventory(received.text(role), role)
      },
      [Symbol.asyncDispose]: () => launched[Symbol.asyncDispose](),
    }
    try {
      await vm.waitForChannelLine(/^here$/, limits.here)
    } catch (error) {
      await launched[Symbol.asyncDispose]()
      throw error
    }
    return host
  },
}

/** bootstrap/inventory.sh, as it is. */
export function inventoryScript(): string {
  return readFileSync(new URL('../../bootstrap/inventory.sh', import.meta.url), 'utf8')
}

/** The report that the agent wrote. Throws UserError where there is none. */
export function parseReport(text: string, role: string) {
  try {
    return reportSchema.parse(JSON.parse(text))
  } catch (error) {
    throw new UserError(`the second converge of the host from the ${role} left no report`, {
      cause: error,
      code: 'no-report',
    })
  }
}

/**
 * Brings the probe into a host beside its user-data, which stays what every host of the fleet gets. A boothook, because
 * nobody's choice of cloud-init modules keeps it from running.
 */
export function probeVendorData(): string {
  return `#cloud-boothook
#!/bin/sh
mkdir /run/parbake-verify 2>/dev/null || exit 0
cat >/run/parbake-verify/inventory.sh <<'PARBAKE_INVENTORY_END'
${squeezeShell(inventoryScript())}
PARBAKE_INVENTORY_END
set -- sh /run/parbake-verify/inventory.sh serve /dev/virtio-ports/${channelName}
if command -v systemd-run >/dev/null; then
  systemd-run --no-block --quiet --unit=parbake-verify "$@"
else
  setsid "$@" </dev/null >/dev/null 2>&1 &
fi
`
}

async function ask(vm: Vm, command: string, answer: RegExp, seconds: number) {
  const from = vm.channelCount
  vm.sendChannelLine(command)
  const pattern = new RegExp(`${answer.source}|^(?:print-)?failed .*$`)
  const found = await vm.waitForChannelLine(pattern, seconds, from)
  if (answer.test(found.line)) return found
  throw new UserError(`the host could not ${command}: ${found.line}`, { code: 'probe-failed' })
}

/** Puts the inventory together again from the lines of the channel. */
export class InventoryReceiver {
  #pieces: string[] | undefined
  #text: string | undefined

  push(line: string): void {
    if (line === 'print-begin') this.#pieces = []
    else if (line === 'print-end' && this.#pieces !== undefined) {
      this.#text = this.#pieces.join('')
      this.#pieces = undefined
    } else this.#pieces?.push(line)
  }

  /** Throws UserError where no whole inventory has come. */
  text(role: string): string {
    try {
      return gunzipSync(Buffer.from(this.#text ?? '', 'base64')).toString('utf8')
    } catch (error) {
      throw new UserError(`the inventory of the host from the ${role} did not arrive whole`, {
        cause: error,
        code: 'inventory-damaged',
      })
    }
  }
}
