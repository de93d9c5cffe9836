import { describe, expect, it } from 'vitest'
import { lint, lintSteps, places, recipeOf, scriptStep } from './support.ts'

/** A step that runs one line. */
function step(name: string, run: string, keys = 'needs: []'): string {
  return `- name: ${name}\n  type: script\n  ${keys}\n  run: ${JSON.stringify(run)}`
}

/** What is said of `b`, which needs nothing, after `a`. */
async function unstated(a: string, b: string): Promise<string | undefined> {
  const { findings } = await lintSteps(
    `${a.startsWith('- ') ? a : step('a', a)}\n${b.startsWith('- ') ? b : step('b', b)}`,
    {
      only: ['needs-missing'],
    },
  )
  expect(findings.length).toBeLessThan(2)
  return /^step 'b' (.*), which step 'a' makes, but says that it stands alone$/.exec(findings[0]?.message ?? '')?.[1]
}

describe('a step uses what another makes', () => {
  it.each<[string, string, string | undefined]>([
    ['echo x >/srv/x', 'cat /srv/x', 'uses /srv/x'],
    ['echo x >/srv/x', 'sort </srv/x', 'uses /srv/x'],
    ['echo x >/srv/x', 'tool --config=/srv/x', 'uses /srv/x'],
    ['echo x >/srv/x', 'curl -d @/srv/x http://x', 'uses /srv/x'],
    ['echo x >/srv/x', 'if [ -e /srv/x ]; then :; fi', 'uses /srv/x'],
    ['echo x >/srv/x', 'echo "$(cat /srv/x)"', 'uses /srv/x'],
    ['dd if=/dev/zero of=/srv/x', 'cat /srv/x', 'uses /srv/x'],
    ['echo x >/srv/x', 'find /srv/x -type f', 'uses /srv/x'],
    ['echo x >/srv/x', 'echo /srv/x', undefined],
    ['echo x >/srv/x', 'cat /srv/xy', undefined],
    ['echo x >/srv/x', 'echo "/srv/x is written elsewhere"', undefined],
    ['echo x >/srv/x', 'rm -f /srv/x', undefined],
    ['echo x >/srv/x', 'echo y >/srv/x', 'writes /srv/x'],
    ['echo x >/srv/x', 'echo y >>/srv/x', 'adds to /srv/x'],
    ['echo x >/dev/null', 'cat /dev/null', undefined],
    ['mkdir -p /srv/app', 'echo x >/srv/app/file', 'writes /srv/app/file'],
    ['mkdir -p /srv/app', 'mkdir -p /srv/app && echo x >/srv/app/file', undefined],
    ['mkdir -p /srv/app', 'mkdir -p /srv/app && chown root /srv/app', undefined],
    ['mkdir -p /srv/app && echo x >/srv/app/file', 'mkdir -p /srv/app && cat /srv/app/file', 'uses /srv/app/file'],
    ['mkdir -p /etc/cron.d', 'echo x >/etc/cron.d/file', undefined],
    ['install -d -o root /srv/app', 'tar -xf app.tar -C /srv/app', 'uses /srv/app'],
    ['tar -cf /srv/x.tar .', 'tar -xf /srv/x.tar', 'uses /srv/x.tar'],
    ['install -m 0644 x /srv/x', 'cat /srv/x', 'uses /srv/x'],
    ['cp a b /srv/app/', 'cat /srv/app/b', 'uses /srv/app/b'],
    ['cp -t /srv/app a', 'cat /srv/app/a', 'uses /srv/app/a'],
    ['mv x.new /srv/x', 'cat /srv/x', 'uses /srv/x'],
    ['echo x | tee /srv/x', 'cat /srv/x', 'uses /srv/x'],
    ['curl -fo /srv/x https://h/x', 'cat /srv/x', 'uses /srv/x'],
    ['wget -O /srv/x https://h/x', 'cat /srv/x', 'uses /srv/x'],
    ['git clone -b main https://h/x /srv/x', 'make -C /srv/x', 'uses /srv/x'],
    ['python3 -m venv /srv/venv', '/srv/venv/bin/pip install .', 'uses /srv/venv/bin/pip'],
    ['D=/srv/app; mkdir -p "$D/data"', 'E=/srv; ls "${E}/app/data"', 'uses /srv/app/data'],
    ['D=/srv/app; mkdir -p "$D"', 'ls "$E/app"', undefined],
    ['for d in a b; do mkdir -p "/srv/$d"; done', 'ls /srv/a', undefined],
    ['ls /srv/x', 'ls /srv/x', undefined],
    ['useradd --system --home-dir /srv/app app', 'chown -R app:app /srv/data', 'uses the account app'],
    ['useradd -r app', 'U=app; chown "$U:$G" /srv/x', undefined],
    ['useradd -r app', 'U=app; chown "$U" /srv/x', 'uses the account app'],
    ['useradd -r app', 'sudo -u app tool', 'uses the account app'],
    ['useradd -r app', 'install -o app x /srv/y', 'uses the account app'],
    ['groupadd ops', 'usermod -aG ops root', 'uses the account ops'],
    ['useradd -r app', 'echo app', undefined],
    ['useradd -r app', 'id -u app || useradd -r app; chown app /srv/x', undefined],
    ['install -m 0755 tool /usr/local/bin/tool', 'tool --version', 'runs tool'],
    ['install -m 0755 tool /usr/local/bin/tool', '/usr/local/bin/tool', 'uses /usr/local/bin/tool'],
    ['install -m 0755 tool /usr/local/bin/', 'sudo nice tool', 'runs tool'],
    ['install -m 0755 tool /opt/x/tool', 'tool', undefined],
    ['install -m 0755 tool /usr/local/bin/tool', 'tool() { :; }; tool', undefined],
    ['install -m 0755 tool /usr/local/bin/tool', 'echo tool', undefined],
    ['cp x.service /etc/systemd/system/x.service', 'systemctl enable --now x', 'uses the unit x'],
    ['cp x.timer /etc/systemd/system/x.timer', 'systemctl start x.timer', 'uses the unit x.timer'],
    ['cp x.service /etc/systemd/system/x.service', 'systemctl daemon-reload', undefined],
    ['cp x.service /etc/systemd/system/x.service', 'systemctl start y.service', undefined],
    ['apt-get install -y jq', 'jq . /etc/x', 'runs jq'],
    ['apt-get install -y bash', 'bash x', undefined],
    ['apt-get remove -y jq', 'jq . /etc/x', undefined],
  ])('%j before %j', async (a, b, expected) => {
    expect(await unstated(a, b)).toBe(expected)
  })

  const packages = (name: string) => `- name: a\n  type: packages\n  install: [${name}]`
  const template = (name: string, destination: string, owner = 'root') =>
    `- name: ${name}\n  type: template\n  needs: []\n  content: x\n  destination: ${destination}\n  owner: ${owner}`

  it.each<[string, string, string | undefined]>([
    [packages('nginx-light'), 'systemctl restart nginx', 'uses the unit nginx'],
    [packages('nginx-light'), 'nginx -t', 'runs nginx'],
    [packages('nginx-light'), 'rm /etc/nginx/sites-enabled/default', undefined],
    [packages('nginx-light'), template('b', '/etc/nginx/conf.d/x.conf'), 'writes /etc/nginx/conf.d/x.conf'],
    [packages('gcc'), 'cc -o x x.c', 'runs cc'],
    [packages('postgresql=15+1'), 'sudo -u postgres psql -f x.sql', 'uses the account postgres'],
    [packages('docker.io'), 'usermod -aG docker app', 'uses the account docker'],
    [packages('curl'), 'wget -qO- http://x', undefined],
    [template('a', '/etc/app.conf'), 'app --config /etc/app.conf', 'uses /etc/app.conf'],
    [template('a', '/etc/systemd/system/app.service'), 'systemctl start app', 'uses the unit app'],
    ['useradd -r app', template('b', '/etc/app.conf', 'root:app'), 'uses the account app'],
    ['- name: a\n  type: user\n  user: app', 'chown app /srv/x', 'uses the account app'],
    ['- name: a\n  type: directory\n  path: /srv/app', 'cp x /srv/app/x', 'writes /srv/app/x'],
    ['- name: a\n  type: file\n  content: x\n  destination: /srv/x', 'cat /srv/x', 'uses /srv/x'],
    [
      packages('nginx'),
      '- name: b\n  type: service\n  needs: []\n  service: nginx\n  enabled: true',
      'uses the unit nginx',
    ],
  ])('%j and %j', async (a, b, expected) => {
    expect(await unstated(a, b)).toBe(expected)
  })
})

describe('it is stated', () => {
  const maker = step('a', 'echo x >/srv/x')
  it.each<[string, string]>([
    ['by needing it', `${maker}\n${step('b', 'cat /srv/x', 'needs: [a]')}`],
    [
      'by needing what needs it',
      `${maker}\n${step('m', 'true', 'needs: [a]')}\n${step('b', 'cat /srv/x', 'needs: [m]')}`,
    ],
    ['by needing all before it', `${maker}\n- name: b\n  type: script\n  run: cat /srv/x`],
    ['the other way round', `${step('b', 'cat /srv/x')}\n${step('a', 'echo x >/srv/x', 'needs: [b]')}`],
    [
      'by one of those who make it',
      `${maker}\n${step('c', 'echo x >/srv/x', 'needs: [a]')}\n${step('b', 'cat /srv/x', 'needs: [a]')}`,
    ],
  ])('%s', async (_, steps) => {
    expect((await lintSteps(steps)).findings).toEqual([])
  })
})

it('says it once for each pair of steps, where it is first used', async () => {
  const text = `${step('a', 'echo x >/srv/x; echo y >/srv/y')}\n${scriptStep('true\ncat /srv/y\ncat /srv/x', '  needs: []\n').replace('name: a', 'name: b')}`
  const { findings } = await lintSteps(text)
  expect(places(findings)).toEqual(['needs-missing 12:9'])
  expect(findings[0]?.fix).toContain("add 'a' to its needs")
})

it('says of a step that needs others that it does not need this one', async () => {
  const { findings } = await lintSteps(
    `${step('a', 'echo x >/srv/x')}\n${step('c', 'true')}\n${step('b', 'cat /srv/x', 'needs: [c]')}`,
  )
  expect(findings.map(({ message }) => message)).toEqual([
    "step 'b' uses /srv/x, which step 'a' makes, but does not need it",
  ])
})

it('looks across recipes that extend others, and places findings in the file that has the step', async () => {
  const { findings } = await lint({
    'recipe.yaml': `name: web\nextends: [parts/common]\nsteps:\n${step('b', 'cat /srv/x')}\n`,
    'parts/common/recipe.yaml': recipeOf(step('a', 'echo x >/srv/x; hostname')),
  })
  expect(findings.map(({ id, location }) => `${location.file}:${location.line} ${id}`).toSorted()).toEqual([
    'parts/common/recipe.yaml:6 bakes-identity',
    'recipe.yaml:7 needs-missing',
  ])
})
