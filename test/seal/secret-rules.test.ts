import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  findFileSecrets,
  findSecrets,
  isPlaceholder,
  reach,
  secretFileRules,
  secretRules,
} from '../../src/seal/secret-rules.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Made anew for every run, so that no test file looks like a leak to anybody. */
function characters(set: string, length: number): string {
  return [...randomBytes(length)].map((byte) => set[byte % set.length]).join('')
}
const upper = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const lower = upper.toLowerCase()
const alphanumeric = `${upper}${lower}0123456789`
const base32 = `${upper}234567`

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const rsaPem = rsa.export({ type: 'pkcs1', format: 'pem' }).toString()
const jwt = ['{"alg":"HS256","typ":"JWT"}', '{"sub":"1234567890"}']
  .map((part) => Buffer.from(part).toString('base64url'))
  .join('.')

const samples: Readonly<Record<string, readonly string[]>> = {
  'private-key': [
    rsaPem,
    rsaPem.replaceAll('\n', '\r\n'),
    ec.export({ type: 'pkcs8', format: 'pem' }).toString(),
    rsa.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
    `key: |\n${rsaPem.replaceAll(/^/gm, '    ')}`,
    JSON.stringify({ type: 'service_account', private_key: rsaPem }),
    `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,${characters('0123456789ABCDEF', 32)}\n\n${characters(alphanumeric, 64)}\n${characters(alphanumeric, 64)}\n`,
    `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${characters(alphanumeric, 64)}\n${characters(alphanumeric, 64)}\n`,
  ],
  'putty-private-key': [
    `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\n${characters(alphanumeric, 44)}\n`,
  ],
  'age-secret-key': [`AGE-SECRET-KEY-1${characters('023456789ACDEFGHJKLMNPQRSTUVWXYZ', 58)}`],
  'aws-access-key-id': [`AKIA${characters(base32, 16)}`, `key ASIA${characters(base32, 16)}.`],
  'aws-secret-key': [
    `aws_secret_access_key = ${characters(alphanumeric, 40)}`,
    `AWS_SECRET_ACCESS_KEY=${characters(alphanumeric, 40)}`,
    `"SecretAccessKey": "${characters(alphanumeric, 40)}"`,
  ],
  'github-token': [
    `ghp_${characters(alphanumeric, 36)}`,
    `github_pat_${characters(alphanumeric, 22)}_${characters(alphanumeric, 59)}`,
  ],
  'gitlab-token': [`glpat-${characters(alphanumeric, 20)}`],
  'slack-token': [`xoxb-${characters('0123456789', 12)}-${characters(alphanumeric, 24)}`],
  'slack-webhook': [
    `https://hooks.slack.com/services/T${characters(upper, 8)}/B${characters(upper, 8)}/${characters(alphanumeric, 24)}`,
  ],
  'google-api-key': [`AIza${characters(alphanumeric, 35)}`],
  'google-oauth-token': [`GOCSPX-${characters(alphanumeric, 28)}`],
  jwt: [`Authorization: Bearer ${jwt}.${characters(alphanumeric, 43)}`],
  'npm-token': [`//registry.npmjs.org/:_authToken=npm_${characters(alphanumeric, 36)}`],
  'pypi-token': [`pypi-AgEIcHlwaS5vcmc${characters(alphanumeric, 80)}`],
  'vault-token': [`hvs.${characters(alphanumeric, 24)}`],
  'stripe-key': [`sk_live_${characters(alphanumeric, 24)}`],
  'azure-storage-key': [`AccountName=x;AccountKey=${characters(alphanumeric, 86)}==;`],
  'url-password': [
    'https://deploy:s3cr3t-pw@git.internal/x.git',
    'postgres://app:kT9-dkwq@db.internal/app',
    'proxy = "http://me:topsecret1@10.0.0.1:3128"',
  ],
}

test('every rule has a sample', () => {
  expect(Object.keys(samples).toSorted()).toEqual(secretRules.map(({ id }) => id).toSorted())
})

describe.each(Object.entries(samples))('%s', (id, texts) => {
  test.each(texts.map((text, index) => [index, text] as const))('sample %i is found, wherever it stands', (_, text) => {
    for (const before of ['', 'x\n', '\0'.repeat(5000)]) {
      const found = findSecrets(`${before}${text}\nmore`)
      expect(found.map((match) => match.id)).toContain(id)
      expect(found.every(({ index }) => index >= before.length)).toBe(true)
    }
  })

  test.each(texts)('a match shows itself near its anchor', (text) => {
    const anchor = secretRules.find((rule) => rule.id === id)?.anchors.find((word) => text.includes(word)) ?? ''
    expect(findSecrets(text.slice(0, text.indexOf(anchor) + reach.after)).map((match) => match.id)).toContain(id)
  })
})

test('keys of ssh-keygen are found', async () => {
  await using folder = await tempDir('test-key')
  for (const type of ['ed25519', 'ecdsa', 'rsa']) {
    const path = join(folder.path, type)
    await run('ssh-keygen', ['-q', '-t', type, '-N', type === 'rsa' ? 'locked' : '', '-f', path])
    expect(findSecrets(await readFile(path, 'latin1'))).toEqual([{ id: 'private-key', why: 'a private key', index: 0 }])
    expect(findSecrets(await readFile(`${path}.pub`, 'latin1'))).toEqual([])
  }
})

test.each([
  ['a header alone, as programs hold it', '-----BEGIN RSA PRIVATE KEY-----\0-----BEGIN OPENSSH PRIVATE KEY-----\n\0'],
  ['a manual', 'a line with `-----BEGIN PRIVATE KEY-----` and then the key, and `-----END PRIVATE KEY-----`'],
  [
    'a public key',
    '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n-----END PUBLIC KEY-----\n',
  ],
  ['the key of the AWS manuals', 'AKIAIOSFODNN7EXAMPLE'],
  ['part of a longer word', `xAKIA${'A'.repeat(16)}BCD`],
  ['AIza in Base64', `zzAIza${'b'.repeat(60)}`],
  ['a setting without a value', 'aws_secret_access_key = \nregion = x'],
  ['a variable for a value', 'https://$USER:$PASSWORD@host/'],
  ['a placeholder', 'http://user:password@proxy.example.com:3128/'],
  ['stars', 'https://user:********@host/'],
  ['a port', 'http://localhost:8080/path@home'],
  ['a JWT without a signature', jwt],
  ['an npm variable', 'npm_config_user_agent npm_lifecycle_script'],
])('%s is no secret', (_, text) => {
  expect(findSecrets(text)).toEqual([])
})

test.each(['EXAMPLE', 'password', 'hunter2', 'xxxxxxxx', 'aaaa', '${TOKEN}', '<token>', '********'])(
  '%s stands for a secret',
  (text) => {
    expect(isPlaceholder(text)).toBe(true)
  },
)
test.each(['s3cr3tpw', 'passwords-are-9', 'kT9-dkwq'])('%s does not', (text) => {
  expect(isPlaceholder(text)).toBe(false)
})

const fileSamples: readonly (readonly [id: string, path: string, text: string, harmless: string])[] = [
  ['netrc', '/root/.netrc', 'machine a login b password c4d5\n', 'machine a login b\n'],
  ['netrc', '/etc/apt/auth.conf.d/private.conf', 'machine a login b password c4d5\n', '# nothing\n'],
  ['pgpass', '/home/a/.pgpass', 'db:5432:*:app:kT9dkwq\n', '# host:port:db:user:password\n'],
  ['git-credentials', '/root/.git-credentials', 'https://me:kT9dkwq@git.internal\n', 'https://git.internal\n'],
  [
    'registry-login',
    '/root/.docker/config.json',
    '{"auths":{"r":{"auth":"bWU6a1Q5"}}}',
    '{"auths":{},"credsStore":"pass"}',
  ],
  ['npmrc', '/home/a/.npmrc', '//r/:_authToken=kT9dkwq0\n', '//r/:_authToken=${NPM_TOKEN}\n'],
  ['pypirc', '/root/.pypirc', '[pypi]\nusername = a\npassword = kT9dkwq\n', '[pypi]\nusername = a\n'],
  ['mysql-password', '/root/.my.cnf', '[client]\npassword="kT9dkwq"\n', '[client]\nuser=a\n'],
  ['kubeconfig', '/root/.kube/config', '    client-key-data: TFMwdExTMUNSVWRKVGlC\n', 'clusters: []\n'],
  ['cifs-password', '/etc/cifs-credentials', 'username=a\npassword=kT9dkwq\n', 'username=a\n'],
  ['rclone-config', '/root/.config/rclone/rclone.conf', '[x]\nsecret_access_key = kT9dkwq\n', '[x]\ntype = s3\n'],
  ['s3cfg', '/root/.s3cfg', 'secret_key = kT9dkwq01\n', 'host_base = x\n'],
]

test('every rule for files has a sample', () => {
  expect([...new Set(fileSamples.map(([id]) => id))].toSorted()).toEqual(secretFileRules.map(({ id }) => id).toSorted())
})

test.each(fileSamples)('%s in %s', (id, path, text, harmless) => {
  expect(findFileSecrets(path, text).map((match) => match.id)).toEqual([id])
  expect(findFileSecrets(path, harmless)).toEqual([])
  expect(findFileSecrets('/usr/share/doc/x/readme', text)).toEqual([])
})
