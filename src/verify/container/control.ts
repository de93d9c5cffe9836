import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { networkdUnit } from '../../bake/container/network.ts'
import { controlFolder } from '../../bake/container/nspawn.ts'
import { portFiles } from '../../bake/container/port.ts'
import { inventoryScript } from '../probe.ts'

/** Who a host is. */
export interface HostName {
  readonly instanceId: string
  readonly hostname: string
}

/** A host that never was. */
export function newHostName(recipe: string): HostName {
  const instanceId = `iid-${randomUUID()}`
  return { instanceId, hostname: `${recipe}-${instanceId.slice(-8)}` }
}

/** Lays out what the container sees as its control folder: the seed, the probe and its unit, the network. */
export async function writeControl(
  folder: string,
  input: { readonly userData: Uint8Array; readonly host: HostName; readonly net: string },
): Promise<void> {
  const { userData, host, net } = input
  await mkdir(join(folder, 'seed'), { recursive: true, mode: 0o700 })
  const files: Readonly<Record<string, string | Uint8Array>> = {
    'inventory.sh': inventoryScript(),
    'driver.service': probeUnit,
    'eth0.network': networkdUnit(net),
    'seed/user-data': userData,
    'seed/meta-data': `instance-id: ${host.instanceId}\nlocal-hostname: ${host.hostname}\n`,
  }
  for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content)
}

/** Early, for the probe itself waits for what it needs. */
const probeUnit = `[Unit]
Description=parbake verify probe
DefaultDependencies=no
After=systemd-journald.socket
[Service]
ExecStart=/bin/sh ${controlFolder}/inventory.sh serve ${controlFolder}/${portFiles.in} ${controlFolder}/${portFiles.out}
`
