import { spawn } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createOverlay } from '../../src/image/qemu-img.ts'
import { serveStore } from '../../src/store/server/serve.ts'
import { probeAccelerator } from '../../src/vm/accelerator.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { cliJson, fullOnly, vmEnvironment } from '../vm/support.ts'

const credentials = { accessKey: 'PBSEEDTEST', secretKey: 'secret-of-the-seed-test' }

let home: CliHome
let server: Awaited<ReturnType<typeof serveStore>>
let env: Readonly<Record<string, string>>
let base: string

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home, {
    PARBAKE_HOST_ACCESS_KEY: credentials.accessKey,
    PARBAKE_HOST_SECRET_KEY: credentials.secretKey,
  })
  const store = join(home.cwd, 'store')
  await mkdir(join(home.cwd, 'hello'))
  await writeFile(join(home.cwd, 'parbake.yaml'), 'store: ./store\n')
  await writeFile(
    join(home.cwd, 'hello', 'recipe.yaml'),
    'name: hello\nsteps:\n  - name: say\n    type: script\n    run: echo "SEEDED $(hostname)" > /dev/console\n',
  )
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'publish', './hello')
  server = await serveStore({ directory: store, bucket: 'parbake', port: 0, credentials })
  base = (await cliJson<{ path: string }>(home, env, 'base', 'build', 'debian-12')).path
})

afterAll(async () => {
  await server?.close()
  await home?.[Symbol.asyncDispose]()
})

/** Writes a seed and gives the arguments that parbake has for QEMU. */
async function seed(path: string, ...more: string[]): Promise<readonly string[]> {
  const endpoint = server.url.replace('127.0.0.1', '10.0.2.2')
  const args = ['user-data', './hello', '--endpoint', endpoint, '--seed', path, '--hostname', 'seeded-1', ...more]
  return (await cliJson<{ qemu: readonly string[] }>(home, env, ...args)).qemu
}

/** Boots the base with these arguments until the agent says that it is ready; gives what came on the console. */
async function boot(name: string, args: readonly string[]): Promise<string> {
  const disk = join(home.cwd, `${name}.qcow2`)
  await createOverlay(disk, base)
  const { name: accelerator } = await probeAccelerator('auto')
  const all = [
    ...['-nodefaults', '-display', 'none', '-serial', 'stdio', '-machine', 'q35', '-m', '1024', '-smp', '2'],
    ...(accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi', '-cpu', 'max']),
    ...['-drive', `file=${disk},if=virtio,format=qcow2,cache=unsafe`, '-device', 'virtio-rng-pci'],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net', ...args],
  ]
  const qemu = spawn('qemu-system-x86_64', all, { cwd: home.cwd, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  try {
    for await (const line of createInterface({ input: qemu.stdout })) {
      lines.push(line)
      if (/parbake: (ready|failed) recipe=/.test(line)) break
    }
  } finally {
    qemu.kill('SIGKILL')
  }
  return lines.join('\n')
}

/** Every launch of the other tests boots from such an image too. */
test.runIf(fullOnly)('a machine provisions itself from a seed image', async () => {
  const console = await boot('iso', await seed('seed.iso'))
  expect(console).toContain('SEEDED seeded-1')
  expect(console).toContain('parbake: ready recipe=hello')
})

test('a machine provisions itself from a seed that its serial number names', async () => {
  const asked: string[] = []
  const folder = join(home.cwd, 'seed')
  const http = createServer((request, response) => {
    asked.push(request.url ?? '')
    readFile(join(folder, basename(request.url ?? ''))).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  try {
    const { port } = http.address() as AddressInfo
    const console = await boot('http', await seed('seed', '--seed-url', `http://10.0.2.2:${port}/a/b`))
    expect(console).toContain('SEEDED seeded-1')
    expect(console).toContain('parbake: ready recipe=hello')
    expect(asked).toEqual(expect.arrayContaining(['/a/b/meta-data', '/a/b/user-data']))
  } finally {
    http.close()
  }
})
