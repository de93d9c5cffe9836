import { join } from 'node:path'
import { tcg } from '../../src/vm/accelerator.ts'
import { startVm } from '../../src/vm/vm.ts'

/** Starts a VM, says its process id and waits to be killed. */
async function main(folder: string): Promise<void> {
  const vm = await startVm({
    disk: join(folder, 'disk.qcow2'),
    memoryMiB: 64,
    cpus: 1,
    accelerator: tcg('test'),
    paused: true,
    consoleLog: join(folder, 'console.log'),
    timeoutSeconds: 60,
  })
  process.stdout.write(`${JSON.stringify({ pid: vm.pid, nodePid: process.pid })}\n`)
  await vm.exited
}

await main(process.argv[2] ?? '')
