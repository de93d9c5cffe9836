import { describe, expect, it } from 'vitest'
import { allowRules, rules } from '../../src/lint/rules/registry.ts'
import { lint, lintSteps, places, recipeOf, scriptStep, withCommentBefore } from './support.ts'

/** Ids of what is found in one step of type script. */
async function idsIn(script: string, keys = ''): Promise<string[]> {
  const { findings } = await lintSteps(scriptStep(script, keys))
  return findings.map(({ id }) => id).filter((id) => id !== 'unpinned-package')
}

describe.each(rules.map((rule) => [rule.id, rule] as const))('%s', (id, { example, severity, fix }) => {
  it('is found in its example, with a place', async () => {
    const { findings } = await lintSteps(example.bad)
    const found = findings.filter((finding) => finding.id === id)
    expect(found.length).toBeGreaterThan(0)
    for (const finding of found) {
      expect(finding).toMatchObject({ severity })
      expect(finding.fix).not.toBe('')
      expect(finding.location).toMatchObject({ file: 'recipe.yaml' })
      expect(finding.location.line).toBeGreaterThan(2)
      const line = recipeOf(example.bad).split('\n')[finding.location.line! - 1]
      // What is printed must not hold the secret again.
      expect(finding.location.sourceLine).toBe(id.startsWith('secret-') ? undefined : line)
    }
    expect(fix).not.toMatch(/\.$/)
  })

  it('is not found in the mended one, nor anything else', async () => {
    const { findings } = await lintSteps(example.good)
    expect(findings.filter((finding) => finding.id === id || finding.severity !== 'hint')).toEqual([])
  })

  it('can be allowed by a comment, with a reason', async () => {
    let text = recipeOf(example.bad)
    const { findings } = await lint({ 'recipe.yaml': text })
    const own = findings.filter((finding) => finding.id === id)
    for (const { location } of own.toReversed()) {
      text = withCommentBefore(text, location.line!, `# parbake: allow ${id} it is an example`)
    }
    const after = await lint({ 'recipe.yaml': text })
    expect(after.findings.filter((finding) => [id, ...Object.keys(allowRules)].includes(finding.id))).toEqual([])
    expect(after.allowed.map((finding) => [finding.id, finding.reason])).toEqual(
      own.map(() => [id, 'it is an example']),
    )
  })

  it('can be allowed by the configuration, and left out', async () => {
    const allowed = await lintSteps(example.bad, { allow: { [id]: 'everywhere' } })
    expect(allowed.findings.map((finding) => finding.id)).not.toContain(id)
    expect(allowed.allowed.map(({ reason }) => reason)).toContain('everywhere')
    const except = await lintSteps(example.bad, { except: [id, 'shellcheck'] })
    expect(except.findings.map((finding) => finding.id)).not.toContain(id)
    const only = await lintSteps(example.bad, { only: [id] })
    expect(new Set(only.findings.map((finding) => finding.id))).toEqual(new Set([id]))
  })
})

describe('what depends on the instance', () => {
  it.each<[string, string[]]>([
    ['hostname >/etc/x', ['bakes-identity']],
    ['hostname -f >/etc/x', ['bakes-identity']],
    ['hostname -I >/etc/x', ['bakes-identity']],
    ['hostname new-name', []],
    ['echo hostname', []],
    ['hostnamectl', ['bakes-identity']],
    ['hostnamectl set-hostname x', []],
    ['uname -n', ['bakes-identity']],
    ['uname -r', []],
    ['cat /etc/machine-id', ['bakes-identity']],
    ['id=$(cat </etc/machine-id)', ['bakes-identity']],
    ['rm -f /etc/machine-id', []],
    ['truncate -s 0 /etc/machine-id', []],
    ['curl -s http://169.254.169.254/latest/meta-data/ >/srv/x', ['bakes-identity']],
    ['echo 1169.254.169.2545', []],
    ['ip addr', ['bakes-identity']],
    ['ip -4 -o addr show', ['bakes-identity']],
    ['ip link set lo up', []],
    ['x=$(ip route get 1.1.1.1)', ['bakes-identity']],
    ['ssh-keygen -A', ['bakes-identity']],
    ['cat /etc/ssh/ssh_host_rsa_key.pub', ['bakes-identity']],
    ['cat /proc/sys/kernel/random/boot_id', ['bakes-identity']],
    ['echo "$PARBAKE_INSTANCE_ID"', ['bakes-identity']],
    ['echo "$HOSTNAME"', ['bakes-identity']],
    ['HOSTNAME=fixed; echo "$HOSTNAME"', []],
    ["echo '$HOSTNAME $(hostname)'", []],
    ['# hostname', []],
    ["cat <<'E'\n$(hostname)\nE", []],
    ['cat <<E\n$(hostname)\nE', ['bakes-identity']],
    ['hostname() { :; }\n: hostname', []],
    ['date >/etc/x', ['bakes-time']],
    ['date -u +%F >/etc/x', ['bakes-time']],
    ['date -d @0', []],
    ['date -d "1 day ago"', ['bakes-time']],
    ['date -r /etc/os-release', []],
    ['update date', []],
    ['echo "$EPOCHSECONDS"', ['bakes-time']],
    ['uuidgen >/etc/x', ['bakes-random']],
    ['head -c 8 /dev/urandom', ['bakes-random']],
    ['tr -dc a-z </dev/urandom', ['bakes-random']],
    ['openssl rand -hex 8', ['bakes-random']],
    ['openssl dgst -sha256 x', []],
    ["ssh-keygen -t ed25519 -N '' -f /etc/app/key", ['bakes-random']],
    ['echo "$RANDOM"', ['bakes-random']],
    ['cat /proc/sys/kernel/random/uuid', ['bakes-random']],
  ])('%j', async (script, expected) => {
    expect(await idsIn(script)).toEqual(expected)
  })

  it.each(['when: instance', 'when: boot', 'when: always', 'bake: never'])('does not matter with %s', async (key) => {
    expect(await idsIn('hostname; date; uuidgen', `  ${key}\n`)).toEqual([])
  })

  it('does not matter in a step that needs one which is not baked', async () => {
    const first = '- name: first\n  type: script\n  when: instance\n  run: "true"\n'
    const { findings } = await lintSteps(`${first}${scriptStep('hostname')}`)
    expect(findings).toEqual([])
    const alone = await lintSteps(`${first}${scriptStep('hostname', '  needs: []\n')}`)
    expect(alone.findings.map(({ id }) => id)).toEqual(['bakes-identity'])
  })

  it('is said once for each line', async () => {
    expect(await idsIn('echo "$(hostname) $(hostname -I)"\nhostname')).toEqual(['bakes-identity', 'bakes-identity'])
  })

  it('is not looked for in other languages', async () => {
    expect(await idsIn('#!/usr/bin/env python3\nhostname()\ndate')).toEqual([])
  })
})

describe('what the seal removes', () => {
  it.each<[string, boolean]>([
    ['mkdir -p /root/.ssh', true],
    ['echo key >>/home/app/.ssh/authorized_keys', true],
    ['echo x >/etc/machine-id', true],
    ['echo web >/etc/hostname', true],
    ['cp a /etc/nginx/nginx.conf.bak', true],
    ['cp a /etc/nginx/nginx.conf', false],
    ['echo x >/var/log/app.log', false],
    ['echo x >/tmp/scratch', false],
    ['echo "127.0.0.1 x" >>/etc/hosts', false],
    ['D=/root/.ssh; install -d -m 0700 "$D"', true],
    ['D=/root/.ssh; D=/srv; install -d -m 0700 "$D"', false],
    ['cat /root/.ssh/known_hosts', false],
  ])('%j', async (script, fires) => {
    expect(await idsIn(script)).toEqual(fires ? ['sealed-path'] : [])
  })

  it('does not matter where the step is never baked', async () => {
    expect(await idsIn('mkdir -p /root/.ssh', '  bake: never\n')).toEqual([])
  })

  it('matters in folders for temporary files where another step looks there', async () => {
    const second = '\n- name: b\n  type: script\n  run: tar -xf /tmp/app.tar'
    const { findings } = await lintSteps(`${scriptStep('cp app.tar /tmp/app.tar')}${second}`)
    expect(findings.map(({ id, message }) => `${id}: ${message}`)).toEqual([
      "sealed-path: step 'a' writes /tmp/app.tar and may be baked, but the seal removes it (temporary files), and step 'b' uses it",
    ])
  })

  it('and what is in memory only', async () => {
    expect(await idsIn('touch /run/app.pid')).toEqual([])
    const second = '\n- name: b\n  type: script\n  run: cat /run/app.pid'
    expect((await lintSteps(`${scriptStep('touch /run/app.pid')}${second}`)).findings[0]?.message).toBe(
      "step 'a' writes /run/app.pid and may be baked, but it is in memory only, and step 'b' uses it",
    )
    const folder = await lintSteps('- name: a\n  type: directory\n  path: /run/app')
    expect(folder.findings.map(({ message }) => message)).toEqual([
      "step 'a' writes /run/app and may be baked, but it is in memory only",
    ])
  })

  it('counts for files that templates write', async () => {
    const { findings } = await lintSteps(
      "- name: a\n  type: template\n  content: x\n  destination: /root/.ssh/authorized_keys\n  mode: '0600'",
    )
    expect(places(findings)).toEqual(['sealed-path 6:16'])
    const folder = await lintSteps('- name: a\n  type: directory\n  path: /root/.ssh')
    expect(places(folder.findings)).toEqual(['sealed-path 5:9'])
  })
})

describe('downloads', () => {
  const url = 'https://example.com/x'
  it.each<[string, string[]]>([
    [`curl -fsSL ${url} | sh`, ['pipe-to-shell']],
    [`curl -fsSL ${url} | sudo -E bash -s -- --yes`, ['pipe-to-shell']],
    [`wget -qO- ${url} | bash`, ['pipe-to-shell']],
    [`curl ${url} | tee install.sh | sh`, ['pipe-to-shell']],
    [`sh -c "$(curl -fsSL ${url})"`, ['pipe-to-shell']],
    [`bash <(curl -s ${url})`, ['pipe-to-shell']],
    [`eval "$(curl -s ${url})"`, ['pipe-to-shell']],
    [`curl -s ${url} | python3 -`, ['pipe-to-shell']],
    [`curl -s ${url} | python3 -c 'import json'`, []],
    [`curl -s ${url} | jq .name`, []],
    [`curl -fsS ${url} >/dev/null`, []],
    [`echo 'curl ${url} | sh'`, []],
    ['curl -s http://127.0.0.1:8080/x | sh', []],
    [`curl -fsSLo f ${url}`, ['download-unverified']],
    [`curl -O ${url}`, ['download-unverified']],
    [`curl ${url} >f`, ['download-unverified']],
    [`wget ${url}`, ['download-unverified']],
    [`wget -O f ${url}`, ['download-unverified']],
    [`wget -qO- ${url}`, []],
    [`wget --spider ${url}`, []],
    [`curl ${url} | tar -xz`, ['download-unverified']],
    [`curl ${url} | gpg --dearmor >/usr/share/keyrings/x.gpg`, ['download-unverified']],
    ['curl -o f "$BASE_URL/x"', ['download-unverified']],
    ['curl -o f "$HOST/x"', []],
    [`curl -o f ${url}\nsha256sum -c sums`, []],
    [`curl -o f ${url}\necho 'abc  f' | sha256sum -c -`, []],
    [`sha256sum -c sums\ncurl -o f ${url}`, ['download-unverified']],
    [`curl -o f ${url}\ngpg --verify f.sig f`, []],
    [`curl -d '{}' -o answer ${url}`, []],
    [`curl -X POST -o answer ${url}`, []],
  ])('%j', async (script, expected) => {
    expect(await idsIn(script)).toEqual(expected)
  })
})

describe('scripts of their own interpreter', () => {
  it.each<[string, boolean]>([
    ['#!/bin/sh\na\nb', true],
    ['#!/bin/bash\nset -u\na\nb', true],
    ['#!/bin/sh\nset -e\na\nb', false],
    ['#!/bin/bash\nset -euo pipefail\na\nb', false],
    ['#!/bin/sh\nset -o errexit\na\nb', false],
    ['#!/bin/sh -e\na\nb', false],
    ['#!/usr/bin/env -S bash -eu\na\nb', false],
    ['#!/bin/sh\nexec a', false],
    ['#!/usr/bin/python3\na\nb', false],
    ['a\nb', false],
  ])('%j', async (script, fires) => {
    expect(await idsIn(script)).toEqual(fires ? ['no-errexit'] : [])
  })

  it('are found in files too, by line and column there', async () => {
    const { findings } = await lint({
      'recipe.yaml': recipeOf('- name: a\n  type: script\n  file: scripts/a.sh'),
      'scripts/a.sh': '#!/bin/sh\n# says hello\n  hostname\ndate\n',
    })
    expect(findings.map(({ id, location }) => `${location.file}:${location.line}:${location.column} ${id}`)).toEqual([
      'scripts/a.sh:3:3 bakes-identity',
      'scripts/a.sh:3:3 no-errexit',
      'scripts/a.sh:4:1 bakes-time',
    ])
    expect(findings[0]?.location.sourceLine).toBe('  hostname')
  })
})

describe('package managers', () => {
  it.each<[string, string[]]>([
    ['apt-get install vim', ['apt-asks', 'apt-no-wait']],
    ['apt-get -q -o DPkg::Lock::Timeout=60 install vim', ['apt-asks']],
    ['apt-get install -y vim', ['apt-no-wait']],
    ['apt-get -qy -o DPkg::Lock::Timeout=60 install vim', []],
    ['apt-get -qq -o DPkg::Lock::Timeout=60 install vim', []],
    ['yes | apt-get -o DPkg::Lock::Timeout=60 install vim', []],
    ['DEBIAN_FRONTEND=noninteractive sudo -E apt-get -y -o DPkg::Lock::Timeout=60 install vim', []],
    ['apt-get update', []],
    ['apt-get clean', []],
    ['apt-cache policy vim', []],
    ['echo apt-get install vim', []],
    ['dnf install vim', ['apt-asks']],
    ['dnf -y install vim', []],
    ['zypper install vim', ['apt-asks']],
    ['zypper --non-interactive install vim', []],
    ['if ! apt-get remove vim; then :; fi', ['apt-asks', 'apt-no-wait']],
  ])('%j', async (script, expected) => {
    expect((await idsIn(script)).toSorted()).toEqual(expected)
  })

  it('versions are a hint, for packages steps and scripts', async () => {
    const steps = "- name: p\n  type: packages\n  install: [vim-tiny, 'curl=8.1-1']\n"
    const { findings } = await lintSteps(`${steps}${scriptStep('apt-get install -y jq less=590', '  needs: [p]\n')}`)
    expect(findings.filter(({ severity }) => severity === 'hint').map(({ message }) => message)).toEqual([
      'the version of vim-tiny is that of the day',
      'the version of jq is that of the day',
    ])
  })
})

describe('commands that do not end as they should', () => {
  it.each<[string, string[]]>([
    ['sleep 9 &', ['background']],
    ['( sleep 9 ) & echo done', ['background']],
    ['nohup tool >/dev/null 2>&1 &', ['background']],
    ['a & b & wait', []],
    ['a & pid=$!\nb\nwait "$pid"', []],
    ['a\nwait\nb &', ['background']],
    ['a && b 2>&1 || c &>/dev/null', []],
    ['vi /etc/x', ['interactive']],
    ['passwd app', ['interactive']],
    ['passwd -l app', []],
    ['echo app:x | chpasswd', []],
    ['adduser app', ['interactive']],
    ['adduser --system app', []],
    ['adduser app docker', []],
    ['read -r x', ['interactive']],
    ['read -r x </etc/x', []],
    ['cat f | while read -r x; do :; done', []],
    ['while read -r x; do :; done <f', []],
    ['crontab -e', ['interactive']],
    ['crontab file', []],
    ['dpkg-reconfigure tzdata', ['interactive']],
    ['dpkg-reconfigure -f noninteractive tzdata', []],
    ['DEBIAN_FRONTEND=noninteractive dpkg-reconfigure tzdata', []],
    ['reboot', ['reboot-in-script']],
    ['/sbin/reboot', ['reboot-in-script']],
    ['shutdown -r now', ['reboot-in-script']],
    ['shutdown -c', []],
    ['sudo systemctl reboot', ['reboot-in-script']],
    ['systemctl restart nginx', []],
    ['systemctl enable reboot-helper', []],
    ['init 6', ['reboot-in-script']],
    ['test -e /run/reboot-required', []],
    ['reboot() { :; }; reboot', []],
    ['echo reboot', []],
  ])('%j', async (script, expected) => {
    expect(await idsIn(script)).toEqual(expected)
  })
})

describe('secrets', () => {
  const token = `ghp_${'a1B2'.repeat(9)}`
  it.each<[string, string[]]>([
    [`curl -H 'Authorization: token ${token}' https://api.example.com`, ['secret-literal']],
    ['git clone https://app:s3cr8t-x71@git.example.com/x /srv/x', ['secret-literal']],
    ['git clone https://app:password@git.example.com/x /srv/x', []],
    ['PASSWORD=x7-kq2-99 tool', ['secret-setting']],
    ['export API_TOKEN=x7-kq2-99', ['secret-setting']],
    ['PASSWORD=$(cat /run/secret)', []],
    ['PASSWORD=changeme', []],
    ['TOKEN_FILE=/etc/app/token', []],
    ['TOOL_SHA256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08', []],
  ])('%j', async (script, expected) => {
    expect(await idsIn(script)).toEqual(expected)
  })

  it('in scripts of other languages and in env', async () => {
    expect(await idsIn(`#!/usr/bin/python3\nx = '${token}'`)).toEqual(['secret-literal'])
    const env = (line: string) => `- name: a\n  type: script\n  env:\n    ${line}\n  run: tool`
    expect(places((await lintSteps(env(`KEY: ${token}`))).findings)).toEqual(['secret-literal 6:10'])
    expect(places((await lintSteps(env('DB_PASSWORD: x7-kq2-99'))).findings)).toEqual(['secret-setting 6:18'])
    expect(places((await lintSteps(env('DB_USER: x7-kq2-99'))).findings)).toEqual([])
  })

  it('are not shown, whatever else is wrong with their line', async () => {
    const { findings } = await lintSteps(scriptStep(`date; tool ${token}\ndate`))
    expect(findings.map(({ id, location }) => [id, location.line, location.sourceLine])).toEqual([
      ['bakes-time', 6, undefined],
      ['secret-literal', 6, undefined],
      ['bakes-time', 7, '    date'],
    ])
  })

  it('in parameters', async () => {
    const text = (params: string) => `name: web\nparams:\n${params}\nsteps:\n${scriptStep('tool')}\n`
    const bad = await lint({ 'recipe.yaml': text('  dbPassword: x7-kq2-99\n  apiToken: {default: x7-kq2-99}') })
    expect(places(bad.findings)).toEqual(['secret-setting 3:15', 'secret-setting 4:23'])
    const good = await lint({
      'recipe.yaml': text('  dbUser: x7-kq2-99\n  apiToken: {default: changeme}\n  passwords: 3'),
    })
    expect(good.findings).toEqual([])
  })

  it('in any other key', async () => {
    const step = (text: string) => `- name: a\n  type: packages\n  description: key ${text}\n  install: [jq=1.6-2]`
    const { findings } = await lintSteps(step(token))
    expect(findings.map(({ message }) => message)).toEqual(['description holds a token of GitHub'])
    expect(places(findings)).toEqual(['secret-literal 5:16'])
    expect((await lintSteps(step('ghp_x'))).findings).toEqual([])
  })

  it('in files that a step brings along', async () => {
    const key = `-----BEGIN OPENSSH PRIVATE KEY-----\n${`${'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUA'.repeat(2)}\n`.repeat(3)}`
    const inputs = '- name: a\n  type: script\n  inputs: [keys, notes.txt]\n  run: tool'
    const { findings } = await lint({ 'recipe.yaml': recipeOf(inputs), 'keys/id': key, 'notes.txt': 'PRIVATE KEY' })
    expect(findings.map(({ message }) => message)).toEqual(['the input keys/id holds a private key'])
    expect(places(findings)).toEqual(['secret-literal 5:11'])
  })

  it('by the name of the file that is written', async () => {
    const netrc = (destination: string) =>
      `- name: a\n  type: file\n  bake: never\n  content: machine x login y password k2v-77Qx\n  destination: ${destination}`
    expect(places((await lintSteps(netrc('/srv/.netrc'))).findings)).toEqual(['secret-literal 6:12'])
    expect(places((await lintSteps(netrc('/srv/notes'))).findings)).toEqual([])
  })

  it('in the content of templates', async () => {
    const { findings } = await lintSteps(
      `- name: a\n  type: template\n  content: 'key=${token}'\n  destination: /etc/x`,
    )
    expect(findings.map(({ id }) => id)).toEqual(['secret-literal'])
  })
})
