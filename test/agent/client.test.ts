import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { keys } from '../../src/store/keys.ts'
import { AgentHost, readAll, shells, testRecipe, testSecrets, type ShellName } from '../support/agent.ts'

/** Stand-ins for the clients, which say what the real ones do; `client.vm.test.ts` has the real ones. */

const clients = ['awscli', 'rclone', 's3cmd'] as const
type Client = (typeof clients)[number]

const commands: Readonly<Record<Client, string>> = { awscli: 'aws', rclone: 'rclone', s3cmd: 's3cmd' }

const today = () => new Date().toISOString().slice(0, 10)

/** A host that fetches by this client from a store that nothing else reaches. */
async function clientHost(client: Client): Promise<AgentHost> {
  const host = await AgentHost.create()
  const auth = { auth: 'static', access_key: testSecrets.accessKey, secret_key: testSecrets.secretKey }
  await host.configure({ ...auth, client, store: 'https://127.0.0.1:9/bucket/some/prefix' })
  return host
}

/** What a client does with the store's folder. Notes its arguments, and how long the secret is that it finds. */
function standIn(host: AgentHost, client: Client): string {
  const store = `${host.store}/`
  const note = `printf '%s\\n' "$*" >>${host.path('argv')}; printf '%s' "$AWS_SECRET_ACCESS_KEY" | wc -c >${host.path('secret')}`
  const missing = 'echo "fatal error: An error occurred (NoSuchKey) when calling: it does not exist" >&2; exit 1'
  const body = {
    awscli: `verb=''
while [ $# -gt 0 ]; do
  case $1 in
  get-object | put-object) verb=$1 ;;
  --key) key=\${2#some/prefix/} ;;
  --body) body=$2 ;;
  --if-none-match) etag=$2 ;;
  esac
  last=$1
  shift
done
if [ $verb = put-object ]; then mkdir -p "${store}\${key%/*}" && cp "$body" "${store}$key"; exit; fi
[ "\${etag:-}" != '"e1"' ] || { echo 'An error occurred (304) when calling the GetObject operation: Not Modified' >&2; exit 254; }
echo '"e1"'`,
    rclone: `for last; do :; done
case " $* " in
*' copyto '*)
  key=\${last#:s3:bucket/some/prefix/}
  while [ $# -gt 2 ]; do shift; done
  mkdir -p "${store}\${key%/*}" && cp "$1" "${store}$key"
  exit
  ;;
esac
while [ "$1" != --files-from-raw ]; do shift; done
name=$(cat "$2")
key=\${3#:s3:bucket/some/prefix/}/$name
mkdir -p "$last" && last=$last/$name`,
    s3cmd: `while [ "$1" != get ] && [ "$1" != put ]; do shift; done
for last; do :; done
if [ $1 = put ]; then key=\${last#s3://bucket/some/prefix/}; mkdir -p "${store}\${key%/*}" && cp "$4" "${store}$key"; exit; fi
key=\${2#s3://bucket/some/prefix/}
echo "download: '$2' -> '$3'"`,
  }[client]
  return `${note}\n${body}\n[ -e "${store}$key" ] || { ${missing}; }\ncp "${store}$key" "$last"`
}

describe.each(clients)('%s', (client) => {
  it('fetches and reports, and its keys are in no argument, log or file', async () => {
    await using host = await clientHost(client)
    await host.fake(commands[client], standIn(host, client))
    await host.publish(testRecipe([host.step('one')]))
    const report = await host.converge()
    expect(report).toMatchObject({ outcome: 'ok', tools: { fetch: client } })
    expect(host.text('store', keys.report(report.recipe, today(), report.host, report.run))).toContain(report.run)
    expect(Number(host.text('secret'))).toBe(testSecrets.secretKey.length)
    const seen = await readAll(
      ['argv', 'agent.log', 'state/report.json', 'state/tmp/client.conf'].map((name) => host.path(name)),
    )
    expect(seen).toContain('some/prefix/channels/web')
    expect(seen).not.toContain(testSecrets.secretKey)
    // Nothing is new: by a conditional request, or by looking at what came.
    await host.publish(testRecipe([host.step('one')]), { content: { serial: 1 } })
    expect(await host.run(['run', '--trigger', 'cron'])).toMatchObject({ code: 0, stderr: '' })
    expect(host.trace()).toEqual(['one'])
  })

  it.each([
    ['An error occurred (AccessDenied) when calling the GetObject operation: Access Denied', 403],
    ['An error occurred (SignatureDoesNotMatch) when calling the GetObject operation', 403],
    ['Unable to locate credentials. You can configure credentials by running "aws configure".', 403],
    ['ERROR : x: AccessDenied: Access Denied.\n\tstatus code: 403, request id: 404404, host id: ', 403],
    ['operation error S3: GetObject, https response error StatusCode: 404, RequestID: x', 404],
    ['ERROR: S3 error: 403 (Forbidden)', 403],
    ["ERROR: Parameter problem: Source object 's3://b/k' does not exist.", 404],
    ['An error occurred (NoSuchKey) when calling the GetObject operation: The key does not exist.', 404],
    ['WARNING: Retrying failed request: / (503 (Slow Down))\nERROR: S3 error: 503 (SlowDown)', 503],
    ['Could not connect to the endpoint URL: "http://127.0.0.1:9/bucket"', '000'],
  ])('says what is wrong: %s', async (said, code) => {
    await using host = await clientHost(client)
    await host.fake(commands[client], `cat >&2 <<'END'\n${said}\nEND\nexit 1`)
    const result = await host.run(['run'])
    expect(result.code).toBe(1)
    expect(result.stderr).toContain(`answered ${code} for channels/web/stable`)
    // For whoever looks for the reason.
    expect(host.text('agent.log')).toContain(said)
  })

  it('ends where a body has no end', async () => {
    await using host = await clientHost(client)
    const out = client === 'rclone' ? '"$last/stable"' : '"$last"'
    await host.fake(
      commands[client],
      `case "$*" in *put*|*copyto*) exit 0 ;; esac\nfor last; do :; done\n[ ${client} != rclone ] || mkdir "$last"\nexec dd if=/dev/zero of=${out} bs=64k count=2000`,
    )
    const result = await host.run(['run'])
    expect([result.code, existsSync(host.path('state/tmp/channel'))]).toEqual([1, false])
    expect(result.stderr).toMatch(/answered (413|000) for channels/)
  })
})

describe.skipIf(existsSync('/usr/bin/s3cmd'))('a client that is not there', () => {
  /** The host of a client whose package manager is kept from work at first. */
  async function bareHost() {
    const host = await clientHost('s3cmd')
    await host.fake('../package', standIn(host, 's3cmd'))
    const locked = host.path('out/locked')
    await host.fake(
      'apt-get',
      `echo "$*" >>${host.path('apt')}
case "$*" in *install*) ;; *) exit 0 ;; esac
[ -e ${locked} ] || { true >${locked}; echo 'E: Could not get lock /var/lib/dpkg/lock-frontend' >&2; exit 100; }
ln -s ../package ${host.path('bin/s3cmd')}`,
    )
    return host
  }

  it.each(Object.keys(shells) as ShellName[])(
    'is installed by stage-0, and the report says how long it took (%s)',
    async (shell) => {
      await using host = await bareHost()
      await host.beforeAgent('client')
      await host.fake('cron', '')
      await host.publish(testRecipe([host.step('one')]))
      expect(await host.run(['boot'], { program: 'stage0', shell })).toMatchObject({ code: 0, stderr: '' })
      expect(
        host
          .text('apt')
          .trimEnd()
          .split('\n')
          .map((line) => /update|install s3cmd/.exec(line)?.[0]),
      ).toEqual([...['update', 'install s3cmd', 'update', 'install s3cmd']])
      const { outcome, phases, run } = host.report()
      expect([outcome, phases?.slice(0, 3).map(({ name }) => name)]).toEqual(['ok', ['client', 'agent', 'prepare']])
      // So that steps with packages in the same converge do not fetch them again.
      expect(host.text('run/lists.apt-get')).toBe(`${run}\n`)
      expect(host.trace()).toEqual(['one'])
    },
  )

  it('is installed by the agent of an image that has none', async () => {
    await using host = await bareHost()
    await host.publish(testRecipe([host.step('one')]))
    expect((await host.converge()).phases?.map(({ name }) => name)).toContain('client')
    expect(host.text('run/lists.apt-get')).toBe(`${host.report().run}\n`)
  })

  it('is not installed by a look at what would be done', async () => {
    await using host = await bareHost()
    const result = await host.run(['diff'])
    expect([result.code, host.text('apt')]).toEqual([1, ''])
    expect(result.stderr).toMatch(/s3cmd is not installed yet/)
  })

  it('and cannot be had leaves the last good bundle', async () => {
    await using host = await bareHost()
    await host.publish(testRecipe([host.step('one', '', { when: 'always' })]))
    await host.converge()
    await host.fake('apt-get', 'echo "E: Unable to locate package s3cmd" >&2; exit 100')
    await rm(host.path('bin/s3cmd'))
    const result = await host.run(['run'])
    expect(result.stderr).toMatch(/s3cmd, by which this host is to fetch, cannot be installed: see \S+agent\.log/)
    expect(host.text('agent.log')).toMatch(/Unable to locate package s3cmd/)
    expect(host.trace()).toEqual(['one', 'one'])
  })
})

describe('agent.conf', () => {
  it.each([
    { client: 'gsutil' },
    { client: 'awscli', auth: 'presigned' },
    { client: 'rclone', auth: 'presigned' },
    { client: 's3cmd', auth: 'anonymous' },
  ])('is refused: %o', async (conf) => {
    await using host = await AgentHost.create({ store: 'https://127.0.0.1:9/bucket', ...conf })
    const result = await host.run(['run'])
    expect([result.code, result.stderr]).toEqual([
      2,
      expect.stringMatching(/client '\w+' is unknown, or cannot do auth/),
    ])
  })

  it('may name a client beside a folder, which needs none', async () => {
    await using host = await AgentHost.create({ client: 'awscli' })
    await host.publish(testRecipe([host.step('one')]))
    expect((await host.converge()).tools.fetch).not.toBe('awscli')
  })
})
