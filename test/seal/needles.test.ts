import { describe, expect, test } from 'vitest'
import { sealNeedles, type NeedleSources } from '../../src/seal/needles.ts'

function texts(sources: NeedleSources): readonly string[] {
  return sealNeedles(sources)
    .filter(({ name }) => !name.includes(', as '))
    .map(({ bytes }) => bytes.toString())
}

describe('of the environment', () => {
  test.each([
    ['GITHUB_TOKEN', 'q8rj3lkqwo'],
    ['DB_PASSWORD', 'correct horse battery'],
    ['SECRET_KEY', 'p4ss-w0rd'],
    ['MY_PASSPHRASE', 'Tr0ub4dor'],
    ['AWS_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzKnowledge'],
    ['DATABASE_URL', 'postgres://app:s3cr3tpw@db.internal/app'],
    ['BUILD_MARK', 'f3a81bc09d7e42aa91c0'],
    ['npm_config_registry', 'https://ci:t0psecret@registry.internal/'],
  ])('%s=%s is taken', (name, value) => {
    expect(texts({ environment: { [name]: value } })).toEqual([value])
  })

  test.each([
    ['HOME', '/root'],
    ['PATH', '/usr/local/bin:/usr/bin:/bin'],
    ['LANG', 'en_US.UTF-8'],
    ['SSH_AUTH_SOCK', '/tmp/ssh-XXXX/agent.1234'],
    ['GITHUB_SHA', '0f3a81bc09d7e42aa91c0b5d6f7a8b9c0d1e2f3a'],
    ['CI_COMMIT_SHA', '0f3a81bc09d7e42aa91c0b5d6f7a8b9c0d1e2f3a'],
    ['INVOCATION_ID', '0f3a81bc09d7e42aa91c0b5d6f7a8b9c'],
    ['API_TOKEN', 'short12'],
    ['AUTH_MODE', 'enabled'],
    ['TOKEN_FILE', '/run/secrets/token.json'],
    ['AUTH_URL', 'https://login.example.com/oauth2'],
    ['PASSWORD_MAX_AGE', '1234567890'],
    ['TOKEN', undefined],
    ['TOKEN', ''],
    ['DESCRIPTION', 'a text of several words, with 2 numbers'],
    ['XDG_SESSION_ID', 'c1234567890abcdefghijk'],
  ])('%s=%s is left out', (name, value) => {
    expect(texts({ environment: { [name]: value } })).toEqual([])
  })
})

test('every credential is taken unless it is short', () => {
  expect(texts({ credentials: { 'access key': 'parbakebake', 'secret key': 'sesame', token: undefined } })).toEqual([
    'parbakebake',
  ])
})

test('names are shown, values never', () => {
  const needles = sealNeedles({
    environment: { API_TOKEN: 'zq81-plm2-xk' },
    credentials: { 'secret key of the store': 'mn4-77ty-qqz' },
    userData: 'chpasswd: {secret: vw8-12kk-bbx}\n',
    identity: { instanceId: 'iid-bake-1234' },
  })
  const names = needles.map(({ name }) => name).join('\n')
  for (const value of ['zq81-plm2-xk', 'mn4-77ty-qqz', 'vw8-12kk-bbx', 'iid-bake-1234'])
    expect(names).not.toContain(value)
  expect(names).toContain('environment variable API_TOKEN')
  expect(names).toContain('credential secret key of the store')
  expect(names).toContain('secret in line 1 of the user-data')
})

test.each([0, 1, 2, 3, 4, 5])('a secret is found in the Base64 of a text, %i bytes in', (shift) => {
  const secret = 'zq81-plm2-xk-00'
  const needles = sealNeedles({ credentials: { secret } }).filter(({ name }) => name.endsWith('Base64'))
  const text = Buffer.from(`${'x'.repeat(shift)}${secret} and more`).toString('base64')
  expect(needles.filter(({ bytes }) => text.includes(bytes.toString())).length).toBe(1)
})

test('a secret is found in hexadecimal', () => {
  const bytes = sealNeedles({ credentials: { secret: 'zq81-plm2' } }).map((needle) => needle.bytes.toString())
  expect(bytes).toContain('7a7138312d706c6d32')
})

describe('of the user-data', () => {
  test.each([
    ['secret_key=Qm9va2Vu12', 'Qm9va2Vu12'],
    ['    password: "s3same-open"', 's3same-open'],
    ["api-key: 'k-1234-5678'", 'k-1234-5678'],
  ])('%s', (line, value) => {
    expect(texts({ userData: `#cloud-config\n${line}\n` })).toContain(value)
  })

  test('long lines are taken, short ones and comments are not', () => {
    const long = 'content: H4sIAAAAAAAAA0tKLEpMTuQCAGFvwVcHAAAA'
    expect(
      texts({ userData: `#cloud-config\nusers: []\n# a comment of quite some length, for people\n  ${long}\n` }),
    ).toEqual([long])
  })
})

test('what names the machine', () => {
  const machineId = '0123456789abcdef0123456789abcdef'
  const host = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0 root@baked'
  const needles = sealNeedles({
    identity: { instanceId: 'iid-bake-1', machineId, sshHostKeys: [host] },
    report: { instance: 'other' },
  })
  expect(needles.map(({ name, bytes }) => [name, bytes.toString('latin1')])).toEqual([
    ['instance id', 'iid-bake-1'],
    ['machine id', machineId],
    ['machine id as a UUID', '01234567-89ab-cdef-0123-456789abcdef'],
    ['machine id as bytes', Buffer.from(machineId, 'hex').toString('latin1')],
    ['SSH host key ssh-ed25519', 'AAAAC3NzaC1lZDI1NTE5AAAAIGx0'],
  ])
  expect(texts({ report: { instance: 'iid-bake-2' } })).toEqual(['iid-bake-2'])
})

test('equal strings are one needle, and long ones are cut', () => {
  const long = `${'a1'.repeat(100)}`
  const needles = sealNeedles({ credentials: { one: long, two: long } })
  expect(needles.filter(({ name }) => name === 'credential one').map(({ bytes }) => bytes.length)).toEqual([64])
  expect(needles.filter(({ name }) => name.startsWith('credential two'))).toEqual([])
})
