import { spawn } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadSecrets } from '../../src/bundle/agent.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { recipeFolder } from '../recipe/support.ts'
import { collect, shells, type ShellName } from '../support/agent.ts'

const source = new URL('../../bootstrap/secrets.sh', import.meta.url).pathname
const names = Object.keys(shells) as ShellName[]

interface Ended {
  readonly exitCode: number | null
  readonly output: string
}

/** Runs a script as a step with secrets: `conf` is agent.conf, `wanted` the names that the step uses. */
async function runStep(
  shell: ShellName,
  conf: string | ((folder: string) => string),
  wanted: readonly string[],
  script: string,
  files: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  await using folder = await tempDir('secrets-test')
  const put = (name: string, text: string) => writeFile(join(folder.path, name), text)
  for (const [name, text] of Object.entries(files)) await put(name, text)
  await put('agent.conf', typeof conf === 'string' ? conf : conf(folder.path))
  await put('names', wanted.map((name) => `${name}\n`).join(''))
  await put('secrets', loadSecrets())
  await put('script', `#!/bin/sh\n${script}\n`)
  await chmod(join(folder.path, 'script'), 0o755)
  const [command, ...first] = shells[shell]
  const child = spawn(
    command,
    [...first, './secrets', `${folder.path}/agent.conf`, './names', './script', 'argument'],
    {
      cwd: folder.path,
      env: { PATH: process.env['PATH'] ?? '', TMPDIR: folder.path, LANG: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const { code, stdout, stderr } = await collect(child)
  return { exitCode: code, output: stdout + stderr }
}

const all = (folder: string) => `recipe=web
secret.FROM_FILE=file:${folder}/plain
secret.FROM_ENV=env:${folder}/vars#KEY
secret.QUOTED=env:${folder}/vars#OTHER
secret.FROM_COMMAND=command:printf '%s%s' "com mand" '\\n'
secret.KEY_PEM=file:${folder}/pem
`
const files = {
  plain: 'va/lue&with"all\'of $it\n',
  vars: '# no value\nKEY=first\nexport KEY=last word\nOTHER="in quotes"\n',
  pem: '-----BEGIN-----\nabcdef0123456789\n-----END-----\n',
}
const everyName = ['FROM_FILE', 'FROM_ENV', 'QUOTED', 'FROM_COMMAND', 'KEY_PEM']

it('passes shellcheck', async () => {
  expect((await run('shellcheck', ['-s', 'dash', source], { allowFailure: true })).stdout).toBe('')
})

describe.each(names)('under %s', (shell) => {
  it('a step has the values in its environment, and what it prints has none of them', async () => {
    const script = `
      for name in ${everyName.join(' ')}; do eval "value=\\$$name"; printf %s "$value" | sha256sum; done
      echo "file: $FROM_FILE. twice: $FROM_ENV$FROM_ENV" "$QUOTED" >&2
      echo "$KEY_PEM"
      tr '\\000' ' ' </proc/$$/cmdline
      echo; printf 'no end: %s' "$FROM_COMMAND"
      exit 7`
    const { exitCode, output } = await runStep(shell, all, everyName, script, files)
    const digests = [files.plain.trim(), 'last word', 'in quotes', 'com mand\\n', files.pem.trim()].map((text) =>
      createHash('sha256').update(text).digest('hex'),
    )
    expect(output.split('\n')).toEqual([
      ...digests.map((digest) => `${digest}  -`),
      'file: ***. twice: ****** ***',
      '***',
      '***',
      '***',
      expect.stringMatching(/^\/bin\/sh \S*\/script argument $/),
      'no end: ***',
      '',
    ])
    expect(exitCode).toBe(7)
  })

  it.each([
    [
      'a secret that nobody says the source of',
      ['NONE'],
      'secret NONE has no source: hosts.secrets of parbake.yaml names none',
    ],
    ['a file that is not there', ['GONE'], 'secret GONE cannot be had from its source, file'],
    ['a command that fails', ['FAILS'], 'secret FAILS cannot be had from its source, command'],
    ['a source of a kind that it does not know', ['STRANGE'], 'secret STRANGE cannot be had from its source, carrier'],
    ['an empty value', ['EMPTY'], 'secret EMPTY is empty at its source, command'],
    ['a name that is none', ['A;b'], "'A;b' is no name of a secret"],
  ])('ends before the step for %s', async (_what, wanted, message) => {
    const conf =
      'secret.GONE=file:/nowhere/at/all\nsecret.FAILS=command:echo half; exit 3\nsecret.STRANGE=carrier:pigeon\nsecret.EMPTY=command:true\n'
    const { exitCode, output } = await runStep(shell, conf, wanted, 'echo ran')
    expect(output).toContain(`parbake: ${message}`)
    expect(output).not.toContain('ran')
    expect(output).not.toContain('half')
    expect(exitCode).toBe(1)
  })
})

it('masks and bounds what a step prints without end, in whole lines', async () => {
  const conf = 'secret.A=command:echo sesame\n'
  const script = `echo first $A
    yes "open $A, I say" | head -n 500000
    while [ "$(stat -L -c %s /proc/$$/fd/1)" -gt 4194304 ]; do sleep 0.1; done
    sleep 0.5; echo last $A; exit 4`
  const { exitCode, output } = await runStep('dash', conf, ['A'], script)
  const lines = output.split('\n')
  expect([exitCode, lines[0], lines.at(-2)]).toEqual([4, 'first ***', 'last ***'])
  expect(new Set(lines.slice(1, -2))).toEqual(new Set(['open ***, I say', '[parbake: output left out here]']))
  expect(output.length).toBeLessThan(1_200_000)
  expect(output.length).toBeGreaterThan(900_000)
})

it('masks the longer of two values of which one is part of the other, and gives no value to the next step', async () => {
  const conf = 'secret.A=command:echo abc\nsecret.B=command:echo abcdef\n'
  const { output } = await runStep('dash', conf, ['A', 'B'], 'echo "abcdef abc ab $A-$B"')
  expect(output).toBe('*** *** ab ***-***\n')
  expect((await runStep('dash', conf, [], 'echo "${A-none} abc"')).output).toBe('none abc\n')
})

it('a step that leaves a process behind does not wait for it, and one that is stopped has its output', async () => {
  const conf = 'secret.A=command:echo abc\n'
  const { output } = await runStep('dash', conf, ['A'], 'sleep 30 & echo started $A')
  expect(output).toBe('started ***\n')
  const stopped = await runStep('dash', conf, ['A'], 'echo before $A; kill -TERM $PPID; sleep 30')
  expect(stopped.output).toContain('before ***\n')
  expect(stopped.exitCode).toBe(143)
})

/** Answers like the services that hold secrets, and keeps what it was asked. */
async function services() {
  const asked: { readonly request: IncomingMessage; readonly body: string }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      asked.push({ request, body })
      const answer = answers[String(request.headers['x-amz-target'] ?? request.url)]
      response.writeHead(answer === undefined ? 404 : 200).end(answer ?? 'no such secret: hush')
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
  return { url, asked, [Symbol.asyncDispose]: close }
}

const keys = { AccessKeyId: 'AKIDTEST', SecretAccessKey: 'topsecret', Token: 'session' }
const answers: Readonly<Record<string, string>> = {
  '/latest/api/token': 'imds-token',
  '/latest/meta-data/iam/security-credentials/': 'web-role\n',
  '/latest/meta-data/iam/security-credentials/web-role': JSON.stringify(keys),
  '/latest/meta-data/placement/region': 'eu-central-1',
  'AmazonSSM.GetParameter': JSON.stringify({ Parameter: { Value: 'from ssm "ü"' } }),
  'secretsmanager.GetSecretValue': JSON.stringify({
    SecretString: JSON.stringify({ user: 'u', password: 'from manager' }),
  }),
  '/v1/secret/data/app': JSON.stringify({ data: { data: { password: 'from vault' }, metadata: {} } }),
  '/v1/kv/app': JSON.stringify({ data: { password: 'from old vault' } }),
}

describe('services', () => {
  const script = (...wanted: readonly string[]) => wanted.map((name) => `printf %s "$${name}" | base64`).join('\n')
  const decoded = (output: string) =>
    output
      .trimEnd()
      .split('\n')
      .map((line) => Buffer.from(line, 'base64').toString())

  it('gives parameters and secrets of AWS to the role of the instance, in signed requests', async () => {
    await using service = await services()
    const conf = `imds=${service.url}
secret.PARAM=ssm:/prod/db?endpoint=${service.url}/
secret.FIELD=secretsmanager:prod/app?endpoint=${service.url}/#password
`
    const { output, exitCode } = await runStep('dash', conf, ['PARAM', 'FIELD'], script('PARAM', 'FIELD'))
    expect(decoded(output)).toEqual(['from ssm "ü"', 'from manager'])
    expect(exitCode).toBe(0)
    const [ssm, manager] = service.asked.filter(({ request }) => request.method === 'POST')
    expect(JSON.parse(ssm?.body ?? '')).toEqual({ Name: '/prod/db', WithDecryption: true })
    expect(JSON.parse(manager?.body ?? '')).toEqual({ SecretId: 'prod/app' })
    expect(ssm?.request.headers.authorization).toBe(authorization(ssm!, 'ssm'))
    expect(manager?.request.headers.authorization).toBe(authorization(manager!, 'secretsmanager'))
  })

  it('gives secrets of both versions of the key-value engine of Vault to the token beside agent.conf', async () => {
    await using service = await services()
    const conf = `secret.NEW=vault:${service.url}/v1/secret/data/app#password\nsecret.OLD=vault:${service.url}/v1/kv/app#password\n`
    const { output } = await runStep('dash', conf, ['NEW', 'OLD'], script('NEW', 'OLD'), {
      'vault-token': 'hvs.token\n',
    })
    expect(decoded(output)).toEqual(['from vault', 'from old vault'])
    expect(service.asked.map(({ request }) => request.headers['x-vault-token'])).toEqual(['hvs.token', 'hvs.token'])
  })

  it('say why there is none, without what the service said', async () => {
    await using service = await services()
    const conf = `secret.NO=vault:${service.url}/v1/none#x\nsecret.BAD=vault:${service.url}/v1/kv/app#other\n`
    const tokens = { 'vault-token': 'hvs.token' }
    const missing = await runStep('dash', conf, ['NO'], 'echo ran', tokens)
    expect(missing.output).toBe(
      'parbake: vault answered 404\nparbake: secret NO cannot be had from its source, vault\n',
    )
    expect((await runStep('dash', conf, ['BAD'], 'echo ran', tokens)).output).toContain('parbake: vault: KeyError')
  })
})

/** What AWS Signature Version 4 has for a request. */
function authorization(
  { request, body }: { readonly request: IncomingMessage; readonly body: string },
  service: string,
) {
  const { headers } = request
  const names = ['content-type', 'host', 'x-amz-date', 'x-amz-security-token', 'x-amz-target']
  const sha = (text: string) => createHash('sha256').update(text).digest('hex')
  const lines = names.map((name) => `${name}:${String(headers[name])}\n`).join('')
  const canonical = `POST\n/\n\n${lines}\n${names.join(';')}\n${sha(body)}`
  const date = String(headers['x-amz-date'])
  const scope = `${date.slice(0, 8)}/eu-central-1/${service}/aws4_request`
  const steps = [...scope.split('/'), `AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha(canonical)}`]
  const signature = steps.reduce<Buffer>(
    (key, text) => createHmac('sha256', key).update(text).digest(),
    Buffer.from(`AWS4${keys.SecretAccessKey}`),
  )
  return `AWS4-HMAC-SHA256 Credential=${keys.AccessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature.toString('hex')}`
}

it('a bundle runs a step with secrets through it, and only such a bundle holds it', async () => {
  const step = '{name: one, type: script, run: \'echo "got $A"; cat x\', inputs: [x]'
  await using plain = await recipeFolder({ 'recipe.yaml': `steps: [${step}}]`, x: 'input' })
  await using secret = await recipeFolder({ 'recipe.yaml': `steps: [${step}, secrets: [A]}]`, x: 'input' })
  const list = async (path: string) => {
    const { bytes } = await packBundle(await loadRecipe(path))
    await writeFile(join(path, 'b.tar.gz'), bytes)
    return (await run('tar', ['-tzf', join(path, 'b.tar.gz')])).stdout.split('\n')
  }
  expect((await list(plain.path)).filter((name) => /secrets|script/.test(name))).toEqual([])
  const root = join(secret.path, 'unpacked')
  expect((await list(secret.path)).filter((name) => /secrets|script/.test(name))).toEqual([
    'secrets',
    'steps/01/script',
    'steps/01/secrets',
  ])
  await mkdir(root)
  await run('tar', ['-xzf', join(secret.path, 'b.tar.gz'), '-C', root])
  const conf = join(root, 'agent.conf')
  await writeFile(conf, 'secret.A=command:echo hush\n')
  const wrapper = join(root, 'steps/01/run')
  await writeFile(wrapper, (await readFile(wrapper, 'utf8')).replace('/etc/parbake/agent.conf', conf))
  const { stdout } = await run('../run', [], { cwd: join(root, 'steps/01/files') })
  expect(stdout).toBe('got ***\ninput')
})
