import { execFileSync } from 'node:child_process'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cliHome, collect, runCli, runShell, startCli, type CliHome } from '../support/cli.ts'

const stackLine = /^\s+at .*:\d+/m

const helloRecipe = `name: hello
steps:
  - name: hello
    type: script
    run: echo hello
`

async function writeRecipe(home: CliHome, text = helloRecipe): Promise<void> {
  await mkdir(join(home.cwd, 'hello'), { recursive: true })
  await writeFile(join(home.cwd, 'hello', 'recipe.yaml'), text)
}

/** A port of the loopback interface on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const credentials = { AWS_ACCESS_KEY_ID: 'wrong', AWS_SECRET_ACCESS_KEY: 'wrong-too' }

describe('a store that cannot be reached', () => {
  test.each(['s3', 'minio'])('%s: ends with 1 and names the store', async (scheme) => {
    await using home = await cliHome()
    await writeRecipe(home)
    const port = await deadPort()
    const url =
      scheme === 's3'
        ? `s3://bucket?endpoint=http://127.0.0.1:${port}&region=us-east-1`
        : `minio://127.0.0.1:${port}/bucket?tls=false`
    await writeFile(join(home.cwd, 'parbake.yaml'), `store: ${url}\n`)
    const env = { ...home.env, ...credentials }
    expect((await runCli(['keys', 'init'], { cwd: home.cwd, env })).exitCode).toBe(0)
    for (const verb of ['publish', 'profile']) {
      const { exitCode, stdout, stderr } = await runCli([verb, 'hello'], { cwd: home.cwd, env })
      expect({ verb, exitCode, stdout }).toEqual({ verb, exitCode: 1, stdout: '' })
      expect(stderr).toContain(String(port))
      expect(stderr).not.toContain(credentials.AWS_SECRET_ACCESS_KEY)
      expect(stderr).not.toMatch(stackLine)
    }
  })
})

describe('store serve', () => {
  test('refuses wrong credentials, ends with 130 at SIGINT and leaves nothing behind', async () => {
    await using home = await cliHome()
    await writeRecipe(home)
    const port = await deadPort()
    const server = startCli(['store', 'serve', '--port', String(port)], home)
    const ended = collect(server)
    try {
      await waitForPort(port)
      await writeFile(
        join(home.cwd, 'parbake.yaml'),
        `store: s3://parbake?endpoint=http://127.0.0.1:${port}&region=us-east-1\n`,
      )
      const env = { ...home.env, ...credentials }
      expect((await runCli(['keys', 'init'], { cwd: home.cwd, env })).exitCode).toBe(0)
      const denied = await runCli(['publish', 'hello'], { cwd: home.cwd, env })
      expect(denied.exitCode).toBe(1)
      expect(denied.stderr).toMatch(/credential|denied|access|key/i)
      expect(denied.stderr).not.toMatch(stackLine)
    } finally {
      server.kill('SIGINT')
    }
    expect((await ended).exitCode).toBe(130)
    await expect(waitForPort(port, 1)).rejects.toThrow('nobody listens')
    const temporary = (await readdir(home.env['TMPDIR'] ?? '')).filter((name) => name.startsWith('parbake-'))
    expect(temporary).toEqual([])
  })

  test('refuses a port that is taken', async () => {
    await using home = await cliHome()
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const { exitCode, stderr } = await runCli(['store', 'serve', '--port', String(port)], home)
      expect(exitCode).toBe(1)
      expect(stderr).toContain(String(port))
      expect(stderr).not.toMatch(stackLine)
    } finally {
      other.close()
    }
  })
})

async function waitForPort(port: number, tries = 200): Promise<void> {
  const { connect } = await import('node:net')
  for (let attempt = 1; ; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => resolve(socket.destroy() !== undefined))
      socket.on('error', () => resolve(false))
    })
    if (open) return
    if (attempt >= tries) throw new Error(`nobody listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('what a launch and a bake need', () => {
  test.each(['launch', 'bake'])('%s without a base that could be built says what to do', async (verb) => {
    await using home = await cliHome()
    await writeRecipe(home)
    await writeFile(join(home.cwd, 'parbake.yaml'), 'base: acme-7\n')
    const { exitCode, stderr } = await runCli([verb, 'hello'], home)
    expect(stderr).toContain("there is no base 'acme-7'")
    expect(stderr).toContain('parbake base build debian-12')
    expect(stderr).not.toMatch(stackLine)
    expect(exitCode).toBe(1)
  })

  test('without QEMU, doctor and base import name what to install', async () => {
    await using home = await cliHome()
    // Only what node itself needs to start.
    const bin = join(home.cwd, 'bin')
    await mkdir(bin)
    await symlink(process.execPath, join(bin, 'node'))
    const env = { ...home.env, PATH: bin }
    const doctor = await runCli(['doctor'], { cwd: home.cwd, env })
    expect(doctor.exitCode).toBe(1)
    expect(doctor.stdout + doctor.stderr).toContain('qemu-system-x86')
    await writeFile(join(home.cwd, 'disk.raw'), Buffer.alloc(4096))
    const imported = await runCli(['base', 'import', 'disk.raw', '--name', 'mine'], { cwd: home.cwd, env })
    expect(imported.exitCode).toBe(1)
    expect(imported.stderr).toContain('qemu-img')
    expect(imported.stderr).toContain('qemu-utils')
    expect(imported.stderr).not.toMatch(stackLine)
  })
})

/** A small file system of one's own needs user namespaces, which some machines forbid. */
const canMount = (() => {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs tmpfs /mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe('a full disk', () => {
  test.skipIf(!canMount)('a publish that does not fit leaves the last channel working', async () => {
    await using home = await cliHome()
    await writeRecipe(home)
    const store = join(home.cwd, 'store')
    await mkdir(store)
    await writeFile(join(home.cwd, 'parbake.yaml'), 'store: ./store\n')
    expect((await runCli(['keys', 'init'], home)).exitCode).toBe(0)
    const script = [
      'set -eu',
      `mount -t tmpfs -o size=600k tmpfs ${store}`,
      '$PARBAKE publish hello >&2',
      'sha256sum store/channels/hello/stable',
      'head -c 3000000 /dev/urandom > hello/big',
      `printf '    inputs: [big]\\n' >> hello/recipe.yaml`,
      'if $PARBAKE publish hello; then exit 99; else echo "exit $?"; fi',
      'sha256sum store/channels/hello/stable',
      'find store/bundles -type f | wc -l',
    ].join('\n')
    const { exitCode, stdout, stderr } = await runShell(
      `unshare -rm bash -c '${script.replaceAll("'", `'\\''`)}'`,
      home,
    )
    const lines = stdout.trim().split('\n')
    expect({ exitCode, stderr, lines: lines.length }).toMatchObject({ exitCode: 0, lines: 4 })
    expect(lines[1]).toBe('exit 1')
    expect(lines[2]).toBe(lines[0])
    expect(lines[3]).toBe('1')
    expect(stderr).toMatch(/space|full/i)
    expect(stderr).not.toMatch(stackLine)
  })

  test.skipIf(!canMount)('keys that cannot be written are no half keys', async () => {
    await using home = await cliHome()
    const keys = join(home.cwd, 'keys')
    await mkdir(keys)
    await writeFile(join(home.cwd, 'parbake.yaml'), 'keys: ./keys\n')
    const script = [
      `mount -t tmpfs -o size=4k tmpfs ${keys}`,
      // A tmpfs of one page is full with its first file.
      `head -c 4096 /dev/zero > ${keys}/filler`,
      '$PARBAKE keys init',
      `echo "exit $?"; ls ${keys}`,
    ].join('\n')
    const { stdout, stderr } = await runShell(`unshare -rm bash -c '${script}'`, home)
    expect(stdout).toBe('exit 1\nfiller\n')
    expect(stderr).not.toMatch(stackLine)
  })
})

test('the program runs from any working directory', async () => {
  await using home = await cliHome()
  expect((await runCli(['--version'], { cwd: dirname(home.cwd), env: home.env })).exitCode).toBe(0)
})
