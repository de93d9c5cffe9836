import { squeezeShell } from '../bundle/squeeze-shell.ts'
import { launch } from '../launch/launch.ts'
import { Cleanup } from '../util/cleanup.ts'
import { channelName } from '../vm/qemu-args.ts'
import type { HostRunner } from './host.ts'
import { inventoryScript, Probe } from './probe.ts'

/** Hosts as QEMU virtual machines; needs no root. */
export const vmRunner: HostRunner = {
  name: 'vm',
  obstacle: () => Promise.resolve(undefined),
  prepare: (_context, disk) => Promise.resolve({ disk, [Symbol.asyncDispose]: () => Promise.resolve() }),
  async start(context, { recipe, channel, disk, role, timeoutSeconds }) {
    const probe = new Probe(role)
    await using stack = new Cleanup()
    const launched = stack.use(
      await launch(context, {
        ...{ recipe, disk, channel, purpose: 'verify' },
        ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
        probe: { vendorData: probeVendorData(), onLine: (text) => probe.push(text) },
      }),
    )
    await probe.attach(launched.vm)
    const kept = stack.move()
    return {
      report: launched.report,
      settle: () => probe.settle(),
      converge: () => probe.converge(),
      inventory: () => probe.inventory(),
      [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
    }
  },
}

/**
 * Brings the probe into a host beside its user-data, which stays what every host of the fleet gets. A boothook, because
 * nobody's choice of cloud-init modules keeps it from running.
 */
export function probeVendorData(): string {
  const port = `/dev/virtio-ports/${channelName}`
  return `#cloud-boothook
#!/bin/sh
mkdir /run/parbake-verify 2>/dev/null || exit 0
cat >/run/parbake-verify/inventory.sh <<'PARBAKE_INVENTORY_END'
${squeezeShell(inventoryScript())}
PARBAKE_INVENTORY_END
set -- sh /run/parbake-verify/inventory.sh serve ${port} ${port}
if command -v systemd-run >/dev/null; then
  systemd-run --no-block --quiet --unit=parbake-verify "$@"
else
  setsid "$@" </dev/null >/dev/null 2>&1 &
fi
`
}
