import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'

async function withKeys(): Promise<CliHome> {
  const home = await cliHome()
  expect(await runCli(['keys', 'init', '--quiet'], home)).toMatchObject({ exitCode: 0 })
  return home
}

test('a seed is written, and what QEMU is to be told goes to stdout', async () => {
  await using home = await withKeys()
  const args = [
    'user-data',
    'web',
    '--seed',
    'seed',
    '--instance-id',
    'iid-7',
    '--hostname',
    'web-7',
    '--tags',
    'b,a,b',
  ]
  const { exitCode, stdout, stderr } = await runCli(args, home)
  expect({ exitCode, stdout }).toEqual({
    exitCode: 0,
    stdout: `-smbios 'type=1,serial=ds=nocloud-net;s=http://10.0.2.2:8000/'\n`,
  })
  expect(stderr).toContain('wrote seed, a folder to be served: web-7, iid-7')
  expect(await readFile(join(home.cwd, 'seed/meta-data'), 'utf8')).toBe('instance-id: iid-7\nlocal-hostname: web-7\n')
  expect(await readFile(join(home.cwd, 'seed/user-data'), 'utf8')).toMatch(/^#cloud-config\n[^]*\n {6}tags=a,b\n/)
  const missing = await runCli(['user-data', 'web', '--seed', 'seed', '--network-config', 'nowhere'], home)
  expect(missing.stderr).toContain('cannot read nowhere')
  expect(missing.exitCode).toBe(2)
})

test('what is in a document is explained without being shown', async () => {
  await using home = await withKeys()
  const text = await runCli(['user-data', 'web', '--target', 'hetzner', '--explain'], home)
  expect(text.stdout).toMatch(/^User-data of 'web' for Hetzner Cloud: \d+ bytes of 32768 /)
  expect(text.stdout).toMatch(/^secret_key +\(\d+ characters, not shown\)$/m)
  const json = await runCli(['user-data', 'web', '--target', 'libvirt', '--explain', '--json'], home)
  const facts = JSON.parse(json.stdout) as Record<string, unknown>
  expect(facts).toMatchObject({ target: 'libvirt', format: 'text', limitBytes: null, secret: true })
  expect(Object.keys(facts)).not.toContain('bytes')
  expect(Object.keys(facts)).not.toContain('text')
})

test('a form goes to a file that only its owner reads, or into the JSON', async () => {
  await using home = await withKeys()
  const form = ['user-data', 'web', '--target', 'aws', '--output-format', 'launch-template']
  const toFile = await runCli([...form, '--output', 'template.json'], home)
  expect(toFile).toMatchObject({ exitCode: 0, stdout: '' })
  const file = join(home.cwd, 'template.json')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  const { UserData: base64 } = JSON.parse(await readFile(file, 'utf8')) as { UserData: string }
  const { stdout } = await runCli([...form, '--json'], home)
  const shown = JSON.parse(stdout) as { userData: string; output: string }
  expect(Buffer.from(base64, 'base64').toString()).toBe(shown.userData)
  expect(shown.output).toBe(await readFile(file, 'utf8'))
})
