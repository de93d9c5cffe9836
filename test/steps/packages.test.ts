import { describe, expect, it } from 'vitest'
import { run } from '../../src/system/run.ts'
import { findings } from '../recipe/support.ts'
import { renderType } from './support.ts'
import { canScratch, runInScratch, shells, type Shell } from './scratch.ts'

/** A package manager that notes its calls; `answers` is the inside of a case on its arguments and the number of the call. */
const fake = (name: string, answers = '') => `cat >/fake/${name} <<'END'
#!/bin/sh
echo ${name} "$@" >>/calls
case "$* $(wc -l </calls)" in
${answers}
esac
END
chmod +x /fake/${name}
`

interface Given {
  /** The managers of the host. */
  readonly managers?: readonly (readonly [name: string, answers?: string])[]
  readonly osRelease?: string
  readonly shell?: Shell
  readonly env?: Readonly<Record<string, string>>
  readonly before?: string
}

/** What these steps call on a host, with the options of apt-get that are always the same cut out. */
async function apply(specs: readonly Readonly<Record<string, unknown>>[], given: Given = {}) {
  const { managers = [['apt-get']], osRelease = 'ID=debian\nVERSION_CODENAME=bookworm', shell = 'busybox' } = given
  const before = `mkdir -p /fake; ${managers.map(([name, answers]) => fake(name, answers)).join('')}
rm -f /etc/os-release; cat >/etc/os-release <<'END'
${osRelease}
END
printf '#!/bin/sh\\necho "sleep $*" >>/slept\\n' >/fake/sleep; chmod +x /fake/sleep
printf '#!/bin/sh\\nexit 1\\n' >/fake/dpkg-query; chmod +x /fake/dpkg-query
${given.before ?? ''}`
  const steps = await Promise.all(specs.map((spec) => renderType('packages', spec)))
  const outcomes = await runInScratch(
    [before, ...steps, 'touch /calls; cat /calls', 'wc -l </slept || :', 'ls /run/parbake'],
    { shell, env: { PATH: '/fake:/bb', ...given.env } },
  )
  const last = outcomes[specs.length]
  return {
    exitCode: last?.exitCode,
    stderr: last?.stderr,
    calls: (outcomes[specs.length + 1]?.stdout ?? '')
      .split('\n')
      .map((line) => line.replace(/ -q .*--force-confold/, '')),
    slept: Number(outcomes[specs.length + 2]?.stdout),
  }
}

const update = 'apt-get update'
const install = 'apt-get install --no-install-recommends'

describe.skipIf(!canScratch)('packages', () => {
  it.each(shells)('fetches lists and installs by apt-get under %s', async (shell) => {
    const { exitCode, stderr, calls } = await apply([{ install: ['nginx', 'curl=7.88.1-10+deb12u8'] }], { shell })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(calls).toEqual([update, `${install} --allow-downgrades nginx curl=7.88.1-10+deb12u8`])
  })

  const pinned = {
    install: ['curl=1.2-3', { apt: 'libc6-dev', dnf: ['glibc-devel', 'gcc'], other: 'musl-dev', apk: [] }],
  }
  it.each([
    ['dnf', 'ID=rocky\nID_LIKE="rhel centos fedora"', 'makecache --refresh', 'install curl-1.2-3 glibc-devel gcc'],
    ['zypper', 'ID="opensuse-leap"', 'refresh', 'install --no-recommends --oldpackage curl=1.2-3 musl-dev'],
    ['apk', 'ID=alpine', 'update', 'add curl=1.2-3'],
  ])('by %s', async (manager, osRelease, fetch, add) => {
    const options = {
      dnf: '-q -y --setopt=install_weak_deps=False',
      zypper: '-q --non-interactive',
      apk: '-q --no-progress --wait 300',
    }[manager]
    // The distribution's own comes first, even where others are there.
    const managers = [[manager], ['apt-get']] as const
    expect(await apply([pinned], { managers, osRelease })).toEqual({
      ...{ exitCode: 0, stderr: '', slept: 0 },
      calls: [`${manager} ${options} ${fetch}`, `${manager} ${options} ${add}`],
    })
  })

  it('fetches lists once per converge, or within ten minutes where nobody says which one it is', async () => {
    const twice = [{ install: ['a'] }, { install: ['b'] }]
    expect((await apply(twice)).calls).toEqual([update, `${install} a`, `${install} b`])
    expect((await apply(twice, { env: { PARBAKE_RUN_ID: 'one' } })).calls).toEqual([
      update,
      `${install} a`,
      `${install} b`,
    ])
    const old = 'mkdir -p /run/parbake; echo zero >/run/parbake/lists.apt-get'
    const later = { before: old, env: { PARBAKE_RUN_ID: 'one' } }
    expect((await apply(twice, later)).calls).toEqual([update, `${install} a`, `${install} b`])
    const long = { before: `${old}; touch -d '2020-01-01 00:00' /run/parbake/lists.apt-get` }
    expect((await apply(twice, long)).calls).toEqual([update, `${install} a`, `${install} b`])
  })

  it('leaves the lists alone', async () => {
    expect((await apply([{ install: ['nginx'], update: false }])).calls).toEqual([`${install} nginx`])
  })

  it('fetches lists again where they may be too old', async () => {
    const managers = [['apt-get', "*install*' 2') exit 100 ;;"]] as const
    const before = 'mkdir -p /run/parbake; : >/run/parbake/lists.apt-get; echo earlier >/calls'
    const { exitCode, calls } = await apply([{ install: ['nginx'] }], { managers, before })
    expect([exitCode, calls]).toEqual([0, ['earlier', `${install} nginx`, update, `${install} nginx`]])
  })

  it('gives up in the end, without going on to the installation', async () => {
    const managers = [['apt-get', '*) echo no mirror >&2; exit 100 ;;']] as const
    const { exitCode, stderr, calls, slept } = await apply([{ install: ['nginx'] }], { managers })
    expect([exitCode, calls, slept]).toEqual([1, [update, update, update, update], 3])
    expect(stderr).toBe('parbake: apt-get update failed 4 times')
  })

  it.each([
    ['apt-get', 'ID=debian', 'E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7'],
    ['zypper', 'ID=suse', 'System management is locked by the application with pid 7 (zypper).'],
  ])('waits for the lock of %s longer than for mirrors', async (manager, osRelease, message) => {
    const managers = [[manager, `*' '[1-9]) echo '${message}' >&2; exit 7 ;;`]] as const
    const { exitCode, calls, slept } = await apply([{ install: ['nginx'] }], { managers, osRelease })
    expect([exitCode, calls.length, slept]).toEqual([0, 11, 9])
  })

  it('removes what is there, before it installs', async () => {
    const before = `printf '#!/bin/sh\\ncase $4 in telnet) echo "ii " ;; old) echo "rc " ;; *) exit 1 ;; esac\\n' >/fake/dpkg-query`
    const { calls } = await apply([{ remove: ['telnet', 'old', 'never'], install: ['ssh'] }], { before })
    expect(calls).toEqual(['apt-get remove telnet', update, `${install} ssh`])
  })

  it.each([
    ['apk', 'ID=alpine', '*nginx*) exit 0 ;; *info*) exit 1 ;;', 'apk -q --no-progress --wait 300 del nginx'],
    ['dnf', 'ID=fedora', '', 'dnf -q -y --setopt=install_weak_deps=False remove nginx'],
  ])('removes by %s', async (manager, osRelease, answers, call) => {
    const before = `printf '#!/bin/sh\\n[ "$2" = nginx ]\\n' >/fake/rpm; chmod +x /fake/rpm`
    const { exitCode, calls } = await apply([{ remove: ['nginx', 'telnet'] }], {
      ...{ managers: [[manager, answers]], osRelease, before },
    })
    expect([exitCode, calls.at(-1)]).toEqual([0, call])
  })

  it.each([
    [
      { managers: [] },
      { install: ['a'] },
      'this step handles packages, but this host has none of apt-get, dnf, zypper, apk',
    ],
    [
      { managers: [['dnf']], osRelease: 'ID=fedora' },
      { install: ['a', { apt: 'libc6-dev', apk: 'musl-dev' }] },
      'the recipe does not say what libc6-dev, musl-dev is called for dnf',
    ],
  ] as const)('says what is missing', async (given, spec, message) => {
    const { exitCode, stderr } = await apply([spec], given)
    expect([exitCode, stderr?.split('\n').at(-1)]).toEqual([1, `parbake: ${message}`])
  })
})

const publicKey = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabc\n-----END PGP PUBLIC KEY BLOCK-----'

describe.skipIf(!canScratch)('repositories', () => {
  const repositories = [
    {
      name: 'docker',
      apt: { url: 'https://download.example/debian', key: publicKey, components: ['stable'], architectures: ['amd64'] },
      dnf: { url: 'https://download.example/$releasever', key: publicKey },
      zypper: { url: 'https://download.example/suse', key: publicKey },
      apk: { url: 'https://download.example/v3', key: 'keys/docker.rsa.pub' },
    },
    { name: 'tools', apt: { url: 'https://tools.example/', suite: './', key: 'tools.gpg' } },
  ]
  const show = async (managers: readonly string[], osRelease: string, paths: string) => {
    const [, first, again, files, calls] = await runInScratch(
      [
        `mkdir -p /fake; ${[...managers, 'rpm'].map((name) => fake(name)).join('')}rm -f /etc/os-release; echo '${osRelease}' >/etc/os-release`,
        await renderType('packages', { install: ['a'], repositories }),
        await renderType('packages', { install: ['b'], repositories }),
        `cd /etc; for file in ${paths}; do echo "== $file $(stat -c '%a %U' "$file")"; cat "$file"; done`,
        'cat /calls',
      ],
      { shell: 'busybox', env: { PATH: '/fake:/bb' } },
    )
    expect([first, again].map((outcome) => [outcome?.exitCode, outcome?.stderr])).toEqual([
      [0, ''],
      [0, ''],
    ])
    return `${files?.stdout}\n\n${calls?.stdout.replaceAll(/ -q .*--force-confold/g, '')}\n`
  }

  it.each([
    ['apt-get', 'VERSION_CODENAME=bookworm', 'apt/sources.list.d/parbake-* apt/keyrings/parbake-*'],
    ['dnf', 'ID=fedora', 'yum.repos.d/parbake-* pki/rpm-gpg/parbake-*'],
    ['zypper', 'ID=sles', 'zypp/repos.d/parbake-*'],
    ['apk', 'ID=alpine', 'apk/repositories.d/parbake-* apk/keys/docker*'],
  ])('for %s', async (manager, osRelease, paths) => {
    await expect(await show([manager], osRelease, paths)).toMatchFileSnapshot(`golden/repositories-${manager}.txt`)
  })

  it('needs to know the suite', async () => {
    const [, refused] = await runInScratch(
      [
        `mkdir /fake; ${fake('apt-get')}rm -f /etc/os-release`,
        await renderType('packages', { repositories: [repositories[0]] }),
      ],
      { env: { PATH: '/fake:/bb' }, shell: 'busybox' },
    )
    expect([refused?.exitCode, refused?.stderr]).toEqual([
      1,
      'parbake: this host has no code name: say the suite of docker',
    ])
  })
})

describe('problems', () => {
  const step = (lines: string) => `steps:\n  - name: one\n    type: packages\n${lines.replaceAll(/^/gm, '    ')}\n`
  it.each([
    ['update: true', "steps[0] must have 'install', 'remove' or 'repositories'"],
    ['install: [a b]', 'steps[0].install[0] must be a package name, or name=version to pin it'],
    ['install: [{}]', 'steps[0].install[0] must name apt, dnf, apk, zypper or other'],
    ['install: [{yum: x, apt: y}]', "unknown key 'yum' in steps[0].install[0]"],
    ['repositories: [{name: x}]', 'steps[0].repositories[0] must have apt, dnf, zypper or apk'],
    [
      'repositories: [{name: x, apt: {url: "ftp://x", key: k.asc}}]',
      "steps[0].repositories[0].apt.url must be a web address, http:// or https://, but is 'ftp://x'",
    ],
    [
      'repositories: [{name: x, apt: {url: "https://a:b@x/", key: k.asc}}]',
      'steps[0].repositories[0].apt.url holds a password',
    ],
    ['repositories: [{name: x, apt: {url: "https://x"}}]', 'steps[0].repositories[0].apt.key is missing'],
    ['repositories: [{name: x, apt: {url: "https://x", key: gone}}]', "apt.key names 'gone', which does not exist"],
    [
      'repositories: [{name: x, apt: {url: "https://x", key: private}}]',
      'apt.key is a private key, which no host may have',
    ],
    [
      'repositories: [{name: x, apk: {url: "https://x", key: "-----BEGIN PUBLIC KEY-----"}}]',
      'apk.key must be a file of the recipe folder, for apk goes by the name of a key',
    ],
    [
      `repositories: [{name: x, apk: {url: "https://x", key: k.asc}}, {name: x, apk: {url: "https://x", key: k.asc}}]`,
      "steps[0].repositories[1].name is 'x', as that of another one above",
    ],
  ])('%j', async (lines, message) => {
    const files = { 'k.asc': publicKey, private: '-----BEGIN PGP PRIVATE KEY BLOCK-----' }
    const text = await findings({ ...files, 'recipe.yaml': step(lines) })
    expect(text).toContain(message)
    expect(text.match(/recipe\.yaml:\d+:\d+: /g)).toHaveLength(1)
  })
})

it.each([
  [{}, ['install --no-install-recommends "$@"', 'manage install "$@"', 'install --no-recommends "$@"']],
  [
    { recommended: true },
    ['apt-get) manage install "$@"', 'install --setopt=install_weak_deps=True "$@"', 'zypper) manage install "$@"'],
  ],
])('%j: recommended packages come only where they are asked for', async (keys, lines) => {
  const { script } = await renderType('packages', { install: ['jq'], ...keys })
  for (const line of lines) expect(script).toContain(line)
})

it('does nothing on hosts that have the command of `unless`', async () => {
  const step = async (unless: string) => renderType('packages', { install: ['never-there'], update: false, unless })
  const { script } = await step('sh')
  expect(await run('sh', ['-c', script], { allowFailure: true })).toMatchObject({ exitCode: 0, stdout: '', stderr: '' })
  expect(await findings({ 'recipe.yaml': 'steps: [{name: a, type: packages, install: jq, unless: a b}]' })).toContain(
    'unless must be the name of a command',
  )
})
