import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { loadStage0 } from '../../src/bundle/agent.ts'
import { isCloudConfigKey, type CloudConfigDocument } from '../../src/cloud-config/index.ts'
import { UserError } from '../../src/errors.ts'
import { renderAgentConf, type AgentConf, type HostCredentials } from '../../src/user-data/agent-conf.ts'
import { renderUserData } from '../../src/user-data/render.ts'
import { targetNames } from '../../src/user-data/targets.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { checkCloudConfig, cloudInitKeys, decodeWriteFile, readWithPyYaml } from '../support/cloud-init.ts'

const key = 'MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='

const conf: AgentConf = {
  recipe: 'web',
  channel: 'stable',
  store: 'http://10.0.2.2:9000/bucket/prefix',
  region: 'us-east-1',
  credentials: { auth: 'static', accessKey: 'AKIDEXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' },
  trustedKeys: [key],
  purpose: 'fleet',
  everyMinutes: 15,
}

const url = (name: string) =>
  `https://s3.eu-central-1.amazonaws.com/some-bucket/prefix/${name}?X-Amz-Signature=${'0'.repeat(350)}`

const credentials: Record<HostCredentials['auth'], HostCredentials> = {
  static: conf.credentials,
  'instance-role': { auth: 'instance-role' },
  anonymous: { auth: 'anonymous' },
  presigned: {
    auth: 'presigned',
    urls: {
      channel: url('channels/web/stable'),
      agent: { sha256: sha256('a'), url: url('agents') },
      bundle: { sha256: sha256('b'), url: url('bundles') },
      report: url('reports'),
    },
  },
}

describe('agent.conf', () => {
  it('holds one setting per line', () => {
    expect(renderAgentConf({ ...conf, trustedKeys: [key, 'SECOND='] })).toBe(`recipe=web
channel=stable
store=http://10.0.2.2:9000/bucket/prefix
auth=static
region=us-east-1
access_key=AKIDEXAMPLE
secret_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
key=${key}
key=SECOND=
purpose=fleet
every=15
`)
  })

  it('asks for traces only where the launch does', () => {
    const plain = renderAgentConf(conf)
    expect(renderAgentConf({ ...conf, trace: true })).toBe(`${plain}trace=yes\n`)
    expect(renderAgentConf({ ...conf, trace: false })).toBe(plain)
  })

  it('holds no more than the way to authenticate needs', () => {
    for (const auth of ['instance-role', 'anonymous'] as const) {
      const text = renderAgentConf({ ...conf, credentials: credentials[auth] })
      expect(text).toContain(`auth=${auth}\n`)
      expect(text).not.toMatch(/access_key|secret_key|url\./)
    }
    const text = renderAgentConf({ ...conf, credentials: credentials.presigned })
    expect(text).toContain(`url.agent=${sha256('a')} https://`)
    expect(text).toContain(`url.bundle=${sha256('b')} https://`)
    expect(text).not.toMatch(/access_key|secret_key/)
  })

  it.each(['a\nkey=evil', '', 'tab\there', 'ü', ' padded'])('refuses the value %j without showing it', (secretKey) => {
    const build = () => renderAgentConf({ ...conf, credentials: { auth: 'static', accessKey: 'x', secretKey } })
    expect(build).toThrow(UserError)
    expect(build).toThrow("the setting 'secret_key' for hosts")
    if (secretKey !== '') expect(build).not.toThrow(secretKey)
  })
})

describe('user-data', () => {
  const stage0 = loadStage0()

  it.each(Object.keys(credentials) as HostCredentials['auth'][])(
    "with auth %s fits with room to spare, passes cloud-init's schema and unpacks to what went in",
    async (auth) => {
      const input = { target: 'nocloud', stage0, conf: { ...conf, credentials: credentials[auth] } } as const
      const document = renderUserData(input)
      expect(document.sizeBytes).toBe(document.bytes.length)
      expect(document.parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(document.sizeBytes)
      const compact = renderUserData({ ...input, format: 'gzip' })
      expect(compact.sizeBytes).toBeLessThan(16_384 - 1500)
      expect(gunzipSync(compact.bytes).toString()).toBe(compact.text)
      for (const target of targetNames) {
        expect(renderUserData({ ...input, target }).bytes).toEqual(document.bytes)
      }
      for (const text of new Set([document.text, compact.text])) {
        await checkDocument(text, renderAgentConf(input.conf))
      }
    },
  )

  async function checkDocument(text: string, expectedConf: string): Promise<void> {
    const result = await checkCloudConfig(text)
    expect(`${result.stdout}${result.stderr}`).toContain('Valid cloud-config')
    const parsed = (await readWithPyYaml(text)) as CloudConfigDocument
    const known = await cloudInitKeys()
    expect(Object.keys(parsed).filter((name) => !known.has(name) || !isCloudConfigKey(name))).toEqual([])
    expect(parsed.runcmd).toEqual([['/usr/local/lib/parbake/stage0', 'boot']])
    const files = parsed.write_files ?? []
    expect(files.map(({ path, permissions }) => [path, permissions])).toEqual([
      ['/etc/parbake/agent.conf', '0600'],
      ['/usr/local/lib/parbake/stage0', '0755'],
    ])
    const [confFile, stage0File] = files
    expect((await decodeWriteFile({ content: '', ...confFile })).toString()).toBe(expectedConf)
    expect(sha256(await decodeWriteFile({ content: '', ...stage0File }))).toBe(sha256(stage0))
  }

  it('is text where that fits, else gzip, and what was asked for otherwise', () => {
    const small = { target: 'aws', stage0: '#!/bin/sh\n', conf } as const
    expect(renderUserData(small).format).toBe('text')
    expect(renderUserData({ ...small, format: 'gzip' }).format).toBe('gzip')
    // Hexadecimal text shrinks to half; base64 then takes a third more of that.
    const middle = { ...small, stage0: randomBytes(13_000).toString('hex') }
    expect(renderUserData(middle).format).toBe('gzip')
    expect(() => renderUserData({ ...middle, format: 'text' })).toThrow('and may have 16384')
  })

  it('is the same whenever it is made', () => {
    expect(renderUserData({ target: 'aws', stage0, conf }).bytes).toEqual(
      renderUserData({ target: 'aws', stage0, conf }).bytes,
    )
  })

  it('is refused over the limit, with an account of the bytes', () => {
    const build = () => renderUserData({ target: 'aws', stage0: randomBytes(20_000).toString('base64'), conf })
    expect(build).toThrow(UserError)
    expect(build).toThrow(
      /user-data for AWS EC2 would have \d+ bytes and may have 16384 \(stage-0 \d+, agent.conf \d+, cloud-config \d+\)/,
    )
  })

  it('may fill the limit to the last bytes', () => {
    const noise = randomBytes(40_000).toString('base64url')
    const size = (length: number) =>
      renderUserData({ target: 'aws', stage0: noise.slice(0, length), conf, format: 'gzip' }).sizeBytes
    let fits = 0
    let tooLong = noise.length
    while (tooLong - fits > 1) {
      const middle = Math.floor((fits + tooLong) / 2)
      try {
        size(middle)
        fits = middle
      } catch (error) {
        expect(error).toBeInstanceOf(UserError)
        tooLong = middle
      }
    }
    expect(size(fits)).toBeLessThanOrEqual(16_384)
    expect(size(fits)).toBeGreaterThan(16_370)
  })
})
