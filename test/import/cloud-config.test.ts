import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { cloudInitKeys, decodeWriteFile, readWithPyYaml } from '../support/cloud-init.ts'
import { carriedLines, importText, lostLines, scriptOf } from './support.ts'

const goesOn = '# parbake: allow no-errexit as in the original, what comes after a failed command runs all the same'

const config = (text: string) => importText('cloud-config', `#cloud-config\n${text}`)

describe('nothing is dropped silently', () => {
  test('every key that any module of cloud-init knows is carried over or listed', async () => {
    const keys = [...(await cloudInitKeys())].toSorted()
    expect(keys.length).toBeGreaterThan(60)
    const text = keys.map((key) => `${JSON.stringify(key)}: x\n`).join('')
    const { carried, notCarried } = config(text)
    const told = new Set([...carried, ...notCarried].map(({ at }) => at.line))
    expect(keys.filter((_, index) => !told.has(index + 2))).toEqual([])
  })

  test('a key that is nothing is listed, with what may have been meant', () => {
    const { notCarried } = config('runcmd: [ls]\npackges: [jq]\nwhatever_else: 1\n')
    expect(notCarried.map(({ at, what, hint }) => [at.line, what, hint])).toEqual([
      [3, 'packges', "did you mean 'packages'?"],
      [4, 'whatever_else', 'check its spelling'],
    ])
  })

  test('every element of a list is told', () => {
    const imported = config(`\
write_files:
  - {path: /etc/a, content: a}
  - {content: nowhere}
  - {path: relative, content: b}
  - {path: /etc/c, content: '*', encoding: b64}
  - {path: /etc/d, source: {uri: 'https://example.com'}}
packages: [jq, {snap: [yq]}, {apt: [tree]}]
runcmd: [ls, {a: b}]
users: [default, ada, {name: bob}]
`)
    expect(carriedLines(imported)).toEqual([
      '3 write_files /etc/a -> file-a',
      '8 packages -> packages',
      '9 runcmd -> runcmd',
      '10 user ada -> user-ada',
      '10 user bob -> user-bob',
      '10 user default -> -',
    ])
    expect(lostLines(imported)).toEqual([
      '4 entry of write_files',
      '5 write_files relative',
      '6 write_files /etc/c',
      '7 write_files /etc/d',
      '8 packages by snap',
      '9 entry of runcmd',
    ])
    expect(imported.steps.find(({ name }) => name === 'packages')?.keys['install']).toEqual(['jq', 'tree'])
  })

  test('templates are listed, and the rest is carried over', () => {
    const imported = importText(
      'cloud-config',
      `## template: jinja
#cloud-config
packages: [jq]
{% if v1.region %}
runcmd:
  - echo {{ v1.region }}
{% endif %}
hostname: "{{ ds.name }}"
timezone: UTC
`,
    )
    expect(lostLines(imported)).toEqual(['5 runcmd', '8 hostname'])
    expect(carriedLines(imported)).toEqual(['3 packages -> packages', '9 timezone -> timezone'])
  })
})

test('steps come in the order in which cloud-init works', () => {
  const { steps } = config(`\
runcmd: [ls]
phone_home: {url: 'https://example.com'}
packages: [jq]
ntp: {enabled: true}
ssh_authorized_keys: [ssh-ed25519 AAAA me]
users: [default, {name: ada, ssh_authorized_keys: [ssh-ed25519 AAAA ada]}]
mounts: [[vdb, /data]]
write_files:
  - {path: /etc/late, content: a, defer: true}
  - {path: /etc/early, content: a}
  - {path: /home/ada/x, content: a, owner: 'ada:ada'}
bootcmd: [ls]
`)
  expect(steps.map(({ name, when = 'change', needs }) => [name, when, needs])).toEqual([
    ['bootcmd', 'boot', undefined],
    ['file-early', 'change', []],
    ['mounts', 'instance', ['file-early']],
    ['user-ada', 'change', ['file-early']],
    ['user-ada-ssh-keys', 'instance', ['user-ada']],
    ['ssh-keys', 'instance', ['user-ada']],
    ['file-x', 'change', ['user-ada']],
    ['ntp', 'change', ['file-x']],
    ['packages', 'change', ['ntp']],
    ['file-late', 'change', ['packages']],
    ['runcmd', 'change', ['bootcmd', 'mounts', 'file-late']],
    ['phone-home', 'instance', ['runcmd']],
  ])
})

test('what asks for the name of the host waits until it has one', () => {
  const { steps } = config('hostname: a\npackages: [jq]\nruncmd: [ls, "hostname >/etc/x"]\n')
  expect(steps.map(({ name, needs }) => [name, needs])).toEqual([
    ['hostname', undefined],
    ['packages', []],
    ['runcmd', ['packages']],
  ])
  const { steps: asking } = config('hostname: a\npackages: [jq]\nruncmd: ["echo $(hostname) >/etc/x"]\n')
  expect(asking.at(-1)).toMatchObject({ name: 'runcmd', when: 'instance' })
  expect(asking.at(-1)?.needs).toBeUndefined()
})

describe('mounts', () => {
  const needs = (text: string) =>
    config(`${text}\npackages: [jq]\n`).steps.find(({ name }) => name === 'packages')?.needs

  test('nothing waits for swap', () => {
    expect(needs('swap: {filename: /swap, size: 1M}')).toEqual([])
  })

  test('packages wait for a mount that their files may lie below', () => {
    expect(needs('mounts: [[vdb, /var/lib/mysql]]')).toBeUndefined()
    expect(needs('mounts: [[vdb, /data/db]]')).toEqual([])
    expect(needs('mounts: [[vdb, /data/db]]\nwrite_files: [{path: /data/db/x, content: a}]')).toBeUndefined()
  })
})

describe('write_files', () => {
  const packed = gzipSync('packed').toString('base64')
  const entries = [
    { content: 'plain\n' },
    { content: 'AAECAw==', encoding: 'b64' },
    { content: 'dGV4dA==', encoding: 'base64' },
    { content: packed, encoding: 'gz+b64' },
    { content: packed, encoding: 'gzip+base64' },
    { content: 'as it is', encoding: 'text/plain' },
    { content: 'unknown', encoding: 'rot13' },
  ]

  test.each(entries)('$encoding is decoded as cloud-init does', async (entry) => {
    const { steps, files } = config(`write_files:\n  - ${JSON.stringify({ path: '/etc/x', ...entry })}\n`)
    const { content, source } = steps[0]?.keys ?? {}
    const bytes =
      typeof content === 'string' ? Buffer.from(content) : files.find(({ path }) => path === source)?.content
    expect(bytes).toEqual(await decodeWriteFile(entry))
  })

  test('permissions are read as YAML 1.1 does', async () => {
    const modes = ["'0640'", '0640', '0o640', '"755"', '0755']
    const text = modes.map((mode, index) => `  - {path: /etc/${index}, content: a, permissions: ${mode}}\n`).join('')
    const { steps } = config(`write_files:\n${text}`)
    const read = (await readWithPyYaml(`[${modes.join(', ')}]`)) as (string | number)[]
    const wanted = read.map((mode) => (typeof mode === 'number' ? mode : Number.parseInt(mode.replace('0o', ''), 8)))
    // `0o640` is a text in YAML 1.1, which cloud-init reads as octal too.
    expect(wanted.map((mode) => `0${mode.toString(8)}`)).toEqual(['0640', '0640', '0640', '0755', '0755'])
    expect(steps.map(({ keys }) => keys['mode'])).toEqual(['0640', '0640', '0640', '0755', '0755'])
  })

  test('what does not outlast a boot is put in place by the scripts that name it', () => {
    const imported = config(`\
write_files:
  - {path: /run/a.sh, content: 'echo', permissions: '0700', owner: 'daemon:adm'}
  - {path: /run/b.sh, content: 'echo'}
runcmd: [/run/a.sh]
`)
    expect(carriedLines(imported)).toEqual([
      '3 write_files /run/a.sh -> -',
      '4 write_files /run/b.sh -> file-b-sh',
      '5 runcmd -> runcmd',
    ])
    expect(imported.steps.map(({ name, when }) => [name, when])).toEqual([
      ['file-b-sh', 'instance'],
      ['runcmd', undefined],
    ])
    expect(scriptOf(imported, 'runcmd')).toBe(`\
#!/bin/sh
# parbake: allow no-errexit as in the original, what comes after a failed command runs all the same
inputs=$PWD
mkdir -p '/run'
install -m 0700 -o 'daemon' -g 'adm' "$inputs"/'files/run/a.sh' '/run/a.sh'
cd /
/run/a.sh
`)
  })
})

describe('runcmd', () => {
  test('is the script that cloud-init makes of it', () => {
    const imported = config(`\
runcmd:
  - echo "$HOME" && false
  - [sh, -c, "echo 'it''s' $0", two words, 3, true]
  - |
    if true; then
      echo block
    fi
`)
    expect(scriptOf(imported, 'runcmd')).toBe(`\
#!/bin/sh
# parbake: allow no-errexit as in the original, what comes after a failed command runs all the same
cd /
echo "$HOME" && false
'sh' '-c' 'echo '\\''it'\\'''\\''s'\\'' $0' 'two words' '3' 'True'
if true; then
  echo block
fi
`)
  })

  test('is taken apart at comments; the status of a part counts as it did before', () => {
    const imported = config(`\
runcmd:
  # First things
  - false
  # Second things
  - [touch, /srv/x]
`)
    expect(scriptOf(imported, 'first-things')).toBe(
      `#!/bin/sh\n${goesOn}\ncd /\n# First things\nfalse\n\n# Whatever its last command ends with, the whole script goes on.\ntrue\n`,
    )
    expect(scriptOf(imported, 'second-things')).toBe(`#!/bin/sh\n${goesOn}\ncd /\n# Second things\n'touch' '/srv/x'\n`)
    expect(carriedLines(imported)).toEqual(['3 runcmd -> first-things', '5 runcmd -> second-things'])
  })

  test.each([
    ['packages:\n  # web\n  - nginx\nruncmd: [ls, [a, b]]\n', ['runcmd']],
    ['runcmd:\n  # first\n  - |\n    # not a heading\n    - x\n  # second\n  - [a,\n    b]\n', ['first', 'second']],
    ['runcmd:\n- a\n- >-\n  b\n  c\n# last\n- d\n', ['runcmd', 'last']],
  ])('%j has its own comments alone', (text, wanted) => {
    const { carried } = config(text)
    expect(carried.filter(({ what }) => what === 'runcmd').flatMap(({ steps }) => steps)).toEqual(wanted)
  })

  test.each([
    ['curl http://169.254.169.254/latest/meta-data/', 'instance', undefined],
    ['echo $(hostname) >/etc/name', 'instance', undefined],
    ['openssl rand -hex 16 >/etc/token', 'instance', undefined],
    ['sysctl -w vm.swappiness=1', undefined, 'never'],
    ['nohup worker &', undefined, 'never'],
    ['systemctl start worker', undefined, 'never'],
    ['systemctl enable --now worker', undefined, undefined],
    ['apt-get install -y nginx && systemctl start nginx', undefined, undefined],
    ['apt-get install -y nginx', undefined, undefined],
    ['mount /dev/vdb /mnt', undefined, 'never'],
    ['# hostname', undefined, undefined],
  ])('%s runs when it must', (command, when, bake) => {
    const { steps, carried } = config(`runcmd:\n  - ${JSON.stringify(command)}\n`)
    expect([steps[0]?.when, steps[0]?.bake]).toEqual([when, bake])
    expect(carried[0]?.note !== undefined).toBe(when !== undefined || bake !== undefined)
  })
})

test('keys of a module are handed to that module as they are', () => {
  const { steps, files } = config('timezone: Europe/Vienna\nntp:\n  servers: [a.example.com]\n')
  expect(steps.map(({ keys }) => keys['run'])).toEqual([
    'cloud-init --file files/cloud-init/ntp.yaml single --name ntp --frequency always\n',
    'cloud-init --file files/cloud-init/timezone.yaml single --name timezone --frequency always\n',
  ])
  expect(files.map(({ content }) => content.toString())).toEqual([
    '#cloud-config\nntp:\n  servers:\n    - a.example.com\n',
    '#cloud-config\ntimezone: Europe/Vienna\n',
  ])
})

test('accounts may be baked, SSH keys are not, and rules for sudo are written once', () => {
  const { files, notCarried } = config(
    'users:\n  - {name: ada, sudo: "ALL=(ALL) ALL", hashed_passwd: x, ssh_authorized_keys: [k], lock_passwd: false}\n',
  )
  expect(files.map(({ path, content }) => [path, content.toString()])).toEqual([
    [
      'files/cloud-init/user-ssh-keys.yaml',
      '#cloud-config\nusers:\n  - name: ada\n    ssh_authorized_keys:\n      - k\n    lock_passwd: false\n',
    ],
    [
      'files/cloud-init/users.yaml',
      '#cloud-config\nusers:\n  - name: ada\n    sudo: ALL=(ALL) ALL\n    hashed_passwd: x\n    lock_passwd: false\n',
    ],
  ])
  expect(notCarried.map(({ what }) => what)).toEqual(['users without default'])
})

describe('users become `user` steps', () => {
  const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8n ada'

  /** The keys of the steps, without their type. */
  function userSteps(users: string) {
    const { steps } = config(`users:\n  - default\n  - ${users}\n`)
    return steps.map(({ name, keys: { type, inputs: _inputs, run: _run, ...keys } }) => [name, type, keys])
  }

  test.each([
    ['ada', { user: 'ada' }],
    [
      '{name: ada, gecos: Ada L., uid: 1500, shell: /bin/bash}',
      { user: 'ada', uid: 1500, shell: '/bin/bash', comment: 'Ada L.' },
    ],
    ['{name: a, homedir: /srv/a, primary_group: b}', { user: 'a', group: 'b', home: '/srv/a' }],
    ['{name: a, groups: "adm, sudo"}', { user: 'a', groups: ['adm', 'sudo'] }],
    ['{name: a, system: true, homedir: /srv/a}', { user: 'a', home: '/srv/a', system: true, createHome: false }],
    ['{name: a, sudo: "ALL=(ALL) ALL", lock_passwd: true}', { user: 'a', sudo: ['ALL=(ALL) ALL'] }],
    ['{name: a, sudo: [one, two], no_create_home: true}', { user: 'a', createHome: false, sudo: ['one', 'two'] }],
    ['{name: a, sudo: false}', { user: 'a' }],
  ])('%s', (users, keys) => {
    const name = `user-${keys.user}`
    expect(userSteps(users)).toEqual([[name, 'user', keys]])
  })

  test('SSH keys in a step of their own, which is never baked; groups that a base may lack before them', () => {
    expect(userSteps(`{name: ada, groups: [adm, ops], ssh_authorized_keys: ["${key}"]}`)).toEqual([
      ['groups', 'script', {}],
      ['user-ada', 'user', { user: 'ada', groups: ['adm', 'ops'] }],
      ['user-ada-ssh-keys', 'user', { user: 'ada', authorizedKeys: [key] }],
    ])
  })

  // A password, what busybox or useradd alone cannot say, and what the type's own rules refuse.
  test.each([
    'hashed_passwd: x',
    'lock_passwd: false',
    'ssh_import_id: [gh:ada]',
    'expiredate: "2030-01-01"',
    'no_user_group: true',
    'doas: [permit nopass ada]',
    'selinux_user: staff_u',
    'ssh_authorized_keys: [no key]',
    'gecos: "a:b"',
    'shell: bash',
    'uid: many',
    `system: true, ssh_authorized_keys: ["${key}"]`,
  ])('but not what they have no word for: %s', (more) => {
    const [first] = userSteps(`{name: ada, ${more}}`)
    expect(first?.slice(0, 2)).toEqual(['users', 'script'])
  })
})

test.each([
  ['{mode: reboot}', true],
  ['{mode: reboot, delay: now, condition: true}', true],
  ['{mode: reboot, condition: test -e /run/x}', false],
  ['{mode: poweroff}', false],
])('power_state %s becomes a step: %s', (value, becomes) => {
  const { steps, notCarried } = config(`runcmd: [ls]\npower_state: ${value}\n`)
  expect(steps.some(({ name, keys }) => name === 'reboot' && keys['reboot'] === true)).toBe(becomes)
  expect(notCarried).toHaveLength(becomes ? 0 : 1)
})
