import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { run } from '../../src/system/run.ts'
import { findTool } from '../../src/system/tools.ts'
import { tempDir } from '../../src/system/temp.ts'
import { explainUserData } from '../../src/user-data/explain.ts'
import type { OutputForm } from '../../src/user-data/output-forms.ts'
import { formatOutput } from '../../src/user-data/output.ts'
import { outputsOf } from '../../src/user-data/platforms.ts'
import type { UserData, UserDataFormat } from '../../src/user-data/render.ts'
import { targetNames, userDataTargets, type TargetName } from '../../src/user-data/targets.ts'
import { sampleUserData } from './support.ts'

const samples = targetNames.flatMap((target) => {
  const formats: readonly UserDataFormat[] =
    userDataTargets[target].gzip === 'never' ? ['text'] : (['text', 'gzip'] as const)
  return formats.map((format) => [target, format, sampleUserData(target, format)] as const)
})

const formsOf = (form: OutputForm) => samples.filter(([target]) => outputsOf(target).includes(form))

/** What cloud-init makes of what a host is given, on the way that its platform's data source goes. */
function asHostReads(target: TargetName, given: string, encoding?: string): string {
  const base64 = ['aws', 'openstack', 'azure', 'oracle', 'alibaba', 'vsphere']
  const decodes =
    target === 'hetzner' ? !given.startsWith('#') : target === 'gcp' ? encoding === 'base64' : base64.includes(target)
  const bytes = decodes ? Buffer.from(given, 'base64') : Buffer.from(given)
  return (bytes[0] === 0x1f ? gunzipSync(bytes) : bytes).toString()
}

describe('golden files', () => {
  it.each(targetNames)('%s', async (target) => {
    const forms = outputsOf(target).filter((form) => form !== 'base64')
    const parts = samples
      .filter(([name]) => name === target)
      .flatMap(([, format, userData]) => {
        const usable = forms.filter((form) => !(form === 'cli' && target === 'azure' && format === 'gzip'))
        const texts = usable
          .filter((form) => form !== 'raw' || format === 'text' || userData.encoding === 'base64')
          .map((form) => `=== ${format}, ${form}\n${formatOutput(form, 'web', userData).toString()}`)
        return [...texts, `=== ${format}, explained\n${explainUserData('web', userData)}`]
      })
    await expect(parts.join('\n')).toMatchFileSnapshot(`golden/${target}.txt`)
  })
})

it.each(samples)('%s, %s: base64 decodes to the document', (_target, _format, userData) => {
  const text = formatOutput('base64', 'web', userData).toString()
  expect(text).toMatch(/^[A-Za-z0-9+/]+=*\n$/)
  expect(Buffer.from(text, 'base64')).toEqual(userData.bytes)
})

it('gives the document itself, or text where the platform takes text only', () => {
  for (const [target, , userData] of samples) {
    const raw = formatOutput('raw', 'web', userData)
    if (typeof raw !== 'string') expect(raw).toEqual(userData.bytes)
    else
      expect([target, Buffer.from(raw, 'base64')]).toEqual([
        expect.stringMatching(/gcp|hetzner|vsphere/),
        userData.bytes,
      ])
  }
})

it.each(formsOf('launch-template'))('%s, %s: the JSON holds what the host is to read', (target, _format, userData) => {
  const json = JSON.parse(formatOutput('launch-template', 'web', userData).toString()) as Record<string, unknown>
  const strings: string[] = []
  JSON.stringify(json, (_key, value: unknown) => {
    if (typeof value === 'string') strings.push(value)
    return value
  })
  const longest = strings.reduce((one, other) => (other.length > one.length ? other : one))
  expect(asHostReads(target, longest, strings.at(-1))).toBe(userData.text)
})

it.each(formsOf('terraform'))('%s, %s: the HCL holds what the host is to read', (target, _format, userData) => {
  const hcl = formatOutput('terraform', 'web', userData).toString()
  // Terraform's strings are those of JSON, apart from what would be a template.
  const strings = [...hcl.replaceAll(/^#.*$/gm, '').matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([literal]) => {
    expect(literal.replaceAll(/\$\$\{|%%\{/g, '')).not.toMatch(/[$%]\{/)
    return (JSON.parse(literal) as string).replaceAll('$${', '${').replaceAll('%%{', '%{')
  })
  const longest = strings.reduce((one, other) => (other.length > one.length ? other : one))
  expect(asHostReads(target, longest, strings.at(-1))).toBe(userData.text)
})

it.skipIf((await findTool('terraform')) === undefined)('Terraform reads it so too', async () => {
  await using dir = await tempDir('terraform')
  const expected: Record<string, string> = {}
  for (const [target, format, userData] of formsOf('terraform')) {
    const recipe = `${target}-${format}`
    await writeFile(join(dir.path, `${recipe}.tf`), formatOutput('terraform', recipe, userData).toString())
    expected[`parbake_${target}_${format}_user_data`] = userData.text
  }
  const env = { TF_CLI_CONFIG_FILE: '/dev/null', CHECKPOINT_DISABLE: '1' }
  await run('terraform', ['fmt', '-check', '-diff'], { cwd: dir.path, env })
  const values = Object.keys(expected).map((name) => `${name} = nonsensitive(local.${name})`)
  const { stdout } = await run('terraform', ['console'], {
    cwd: dir.path,
    env,
    input: `base64encode(jsonencode({ ${values.join(', ')} }))\n`,
  })
  const read = JSON.parse(Buffer.from(stdout.trim().slice(1, -1), 'base64').toString()) as Record<
    string,
    string | Record<string, string>
  >
  for (const [name, value] of Object.entries(read)) {
    const target = name.split('_')[1] as TargetName
    const [given = '', encoding] = typeof value === 'string' ? [value] : [...Object.values(value)]
    expect([name, asHostReads(target, given, encoding)]).toEqual([name, expected[name]])
  }
})

it('hides secrets from Terraform’s output only where there are any', () => {
  const without = sampleUserData('aws', 'text', { credentials: { auth: 'instance-role' } })
  expect(formatOutput('terraform', 'web', without)).not.toContain('sensitive(')
  expect(formatOutput('terraform', 'web', sampleUserData('aws', 'text'))).toContain('= sensitive("')
})

describe('the command line', () => {
  /** Notes its arguments, and keeps the file that one of them names. */
  const fake = `#!/bin/sh
printf '%s\\n' "$@" >"$OUT/arguments"
for argument; do
  file=\${argument##*[=/]}
  file=\${argument%"$file"}$file
  file=\${file##*=}
  file=\${file#fileb://}
  [ ! -f "$file" ] || cp "$file" "$OUT/file"
done
`
  const tools = ['aws', 'openstack', 'az', 'gcloud', 'doctl', 'hcloud', 'oci', 'aliyun', 'govc', 'virt-install', 'qm']
  const variables = [
    ...['IMAGE_ID', 'INSTANCE_TYPE', 'IMAGE', 'FLAVOR', 'RESOURCE_GROUP', 'ZONE', 'SIZE', 'REGION', 'TYPE', 'SHAPE'],
    ...['COMPARTMENT_ID', 'AVAILABILITY_DOMAIN', 'SUBNET_ID', 'REGION_ID', 'VM', 'DISK', 'VM_ID'],
  ]

  async function runCli(userData: UserData, more: readonly string[]): Promise<{ arguments: string; file?: Buffer }> {
    await using dir = await tempDir('cli-form')
    const [bin, out] = [join(dir.path, 'bin'), join(dir.path, 'out')]
    await mkdir(bin)
    await mkdir(out)
    for (const tool of tools) {
      await writeFile(join(bin, tool), fake)
      await chmod(join(bin, tool), 0o755)
    }
    const script = formatOutput('cli', 'web', userData).toString()
    await run('sh', ['-s', '--', ...more], {
      input: script,
      cwd: dir.path,
      env: {
        PATH: `${bin}:${process.env['PATH']}`,
        OUT: out,
        SNIPPETS: out,
        TMPDIR: dir.path,
        ...Object.fromEntries(variables.map((name) => [name, `the ${name}`])),
      },
    })
    const read = (name: string) => readFile(join(out, name)).catch(() => undefined)
    const file = (await read('file')) ?? (await read('web.yaml'))
    return { arguments: String((await read('arguments')) ?? ''), ...(file === undefined ? {} : { file }) }
  }

  const usable = samples.filter(
    ([target, format]) => target !== 'nocloud' && !(target === 'azure' && format === 'gzip'),
  )

  it.each(usable)('%s, %s: the tool gets the document and all arguments', async (target, _format, userData) => {
    const called = await runCli(userData, ['--more', 'two words'])
    expect(called.arguments).toContain('--more\ntwo words\n')
    const inArguments = /^(?:guestinfo\.userdata=)?([A-Za-z0-9+/]{300,}=*)$/m.exec(called.arguments)?.[1]
    const given = inArguments ?? called.file?.toString('latin1') ?? ''
    const bytes = Buffer.from(given, inArguments !== undefined || userData.encoding === 'base64' ? 'base64' : 'latin1')
    expect(bytes).toEqual(userData.bytes)
    if (target === 'gcp') {
      expect(called.arguments.includes('user-data-encoding=base64')).toBe(userData.format === 'gzip')
    }
  })

  it('of NoCloud makes an ISO image', async () => {
    await using dir = await tempDir('cli-form')
    const userData = sampleUserData('nocloud', 'gzip')
    await run('sh', ['-s'], { input: formatOutput('cli', 'web', userData), cwd: dir.path })
    await run('xorriso', [
      '-osirrox',
      'on',
      '-indev',
      join(dir.path, 'web-seed.iso'),
      '-extract',
      '/',
      join(dir.path, 'x'),
    ])
    expect(await readFile(join(dir.path, 'x/user-data'))).toEqual(userData.bytes)
    expect(await readFile(join(dir.path, 'x/meta-data'), 'utf8')).toMatch(
      /^instance-id: iid-\d+\nlocal-hostname: web\n$/,
    )
  })

  it('passes shellcheck', async () => {
    await using dir = await tempDir('cli-form')
    const files = await Promise.all(
      [...usable, ['nocloud', 'text', sampleUserData('nocloud', 'text')] as const].map(
        async ([target, format, data]) => {
          const file = join(dir.path, `${target}-${format}.sh`)
          await writeFile(file, formatOutput('cli', 'web', data))
          return file
        },
      ),
    )
    const { stdout } = await run('shellcheck', ['-f', 'gcc', ...files], { allowFailure: true })
    expect(stdout).toBe('')
  })

  it('of Azure cannot be given a compressed document', () => {
    const format = () => formatOutput('cli', 'web', sampleUserData('azure', 'gzip'))
    expect(format).toThrow(UserError)
    expect(format).toThrow('reads user-data as text')
  })
})

it.each([
  ['nocloud', 'terraform'],
  ['nocloud', 'launch-template'],
  ['libvirt', 'launch-template'],
  ['proxmox', 'launch-template'],
] as const)('%s has no form %s', (target, form) => {
  expect(() => formatOutput(form, 'web', sampleUserData(target, 'text'))).toThrow(`has no output form '${form}'`)
})

it('tells what is in a document without its secrets', () => {
  for (const [, , userData] of samples) {
    const text = explainUserData('web', userData)
    expect(text).not.toContain('an-example-of-a-secret-key')
    expect(text).toContain('(26 characters, not shown)')
    for (const { name, bytes } of userData.parts) expect(text).toMatch(new RegExp(`^${name} +${bytes} `, 'm'))
  }
})
