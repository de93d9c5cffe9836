import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { keys } from '../../src/store/keys.ts'
import { run } from '../../src/system/run.ts'
import { sha256 } from '../../src/util/sha256.ts'
import { AgentHost, shells, testRecipe, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]

/** A host that boots: one step, and the interval of its settings and of its recipe. */
async function bootedHost(every: string, options: { cron?: boolean; recipeEvery?: number; shell?: ShellName } = {}) {
  const host = await AgentHost.create({ every })
  if (options.cron === false) await rm(host.path('etc/cron.d'), { recursive: true })
  await host.fake('cron', '')
  await host.fake('systemctl', `echo "$@" >>${host.path('out/systemctl')}`)
  await host.publish(testRecipe([host.step('one')], { everyMinutes: options.recipeEvery ?? Number(every) }))
  const result = await host.run(['boot'], options.shell === undefined ? {} : { shell: options.shell })
  expect(result).toMatchObject({ code: 0, stdout: '', stderr: '' })
  return host
}

describe('the schedule', () => {
  it.each(names)('is a unit for the boot and a line for cron (%s)', async (shell) => {
    await using host = await bootedHost('15', { shell })
    const [comment, line] = host.text('etc/cron.d/parbake').split('\n')
    expect(comment).toMatch(/^# parbake converges every 15 minutes/)
    const match = /^(\d+)-59\/15 \* \* \* \* root test -x (\S+) && (\S+) run --trigger cron$/.exec(line ?? '')
    expect(Number(match?.[1])).toBeLessThan(15)
    expect(match?.slice(2)).toEqual([host.agentPath, host.agentPath])
    const unit = host.text('etc/systemd/system/parbake-boot.service')
    expect(unit).toContain(`ExecStart=${host.agentPath} run --trigger boot\n`)
    expect(unit).toContain(`ConditionPathExists=${host.path('conf/agent.conf')}\n`)
    const link = host.path('etc/systemd/system/multi-user.target.wants/parbake-boot.service')
    expect(readlinkSync(link)).toBe('../parbake-boot.service')
    for (const file of ['etc/cron.d/parbake', 'etc/systemd/system/parbake-boot.service']) {
      expect(statSync(host.path(file)).mode & 0o777).toBe(0o644)
    }
    expect(existsSync(host.path('etc/systemd/system/parbake.timer'))).toBe(false)
    expect(host.trace()).toEqual(['one'])
    expect(host.report()).toMatchObject({ trigger: 'boot', first: true })
  })

  it('leaves a fresh boot to the unit: cron waits until that has tried, or ten minutes', async () => {
    await using host = await bootedHost('15')
    const cron = async (uptime: string) => {
      await writeFile(host.path('uptime'), `${uptime} 1.00\n`)
      return host.run(['run', '--trigger', 'cron'], { env: { PARBAKE_UPTIME: host.path('uptime') } })
    }
    await host.reboot()
    await host.publish(testRecipe([host.step('one'), host.step('two')]))
    expect(await cron('40.00')).toMatchObject({ code: 0, stderr: '' })
    expect(host.trace()).toEqual(['one'])
    expect((await cron('601.00')).code).toBe(0)
    expect(host.trace()).toEqual(['one', 'two'])

    await host.reboot()
    await host.publish(testRecipe([host.step('one'), host.step('two'), host.step('three')]))
    await host.run(['boot'])
    await host.publish(testRecipe([host.step('one'), host.step('two'), host.step('three'), host.step('four')]))
    expect((await cron('60.00')).code).toBe(0)
    expect(host.trace()).toEqual(['one', 'two', 'three', 'four'])
  })

  it('differs between hosts', async () => {
    const offsets = new Set<string>()
    for (let machine = 0; machine < 8; machine += 1) {
      await using host = await AgentHost.create({ every: '60' })
      await host.fake('cron', '')
      await writeFile(host.path('etc/machine-id'), `${machine}\n`)
      await host.run(['boot'], { env: { PARBAKE_CONSOLE: '/dev/null' } })
      offsets.add(/^\d+/m.exec(host.text('etc/cron.d/parbake'))?.[0] ?? '')
    }
    expect(offsets.size).toBeGreaterThan(3)
  })

  it.each([
    ['1', /^0-59\/1 \* \* \* \* root /m],
    ['0', /^0-59\/1 \* \* \* \* root /m],
    ['59', /^\d+-59\/59 \* \* \* \* root /m],
    ['60', /^\d+ \*\/1 \* \* \* root /m],
    ['240', /^\d+ \*\/4 \* \* \* root /m],
    ['1440', /^\d+ 0 \* \* \* root /m],
    ['9999', /^\d+ 0 \* \* \* root /m],
    ['soon', /^\d+-59\/15 \* \* \* \* root /m],
  ])('every %s minutes', async (every, line) => {
    await using host = await AgentHost.create({ every })
    await host.fake('cron', '')
    await host.run(['boot'], { env: { PARBAKE_CONSOLE: '/dev/null' } })
    expect(host.text('etc/cron.d/parbake')).toMatch(line)
  })

  it('follows the recipe, and stays so after a reboot', async () => {
    await using host = await bootedHost('15', { recipeEvery: 5 })
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/5 /m)
    await host.reboot()
    expect((await host.run(['boot'])).code).toBe(0)
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/5 /m)
    await host.publish(testRecipe([host.step('one')], { everyMinutes: 20 }))
    await host.run(['run', '--trigger', 'cron'])
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/20 /m)
  })

  it('is a timer where there is no cron', async () => {
    await using host = await bootedHost('10', { cron: false })
    expect(host.text('etc/systemd/system/parbake.timer')).toMatch(/^OnCalendar=\*:\d\/10$/m)
    expect(host.text('etc/systemd/system/parbake.service')).toContain(
      `ExecStart=${host.agentPath} run --trigger cron\n`,
    )
    expect(host.text('out/systemctl')).toBe('daemon-reload\nenable --now parbake.timer\n')
    expect(existsSync(host.path('etc/cron.d'))).toBe(false)
  })

  it('is a timer where there is a folder for cron but no cron', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]))
    await host.fake('systemctl', '')
    // In a mount namespace of its own the host's cron cannot be found.
    const hide = 'for cron in /usr/sbin/cron /usr/sbin/crond; do [ ! -e $cron ] || mount --bind /dev/null $cron; done'
    await run('unshare', ['-m', 'sh', '-c', `${hide}; exec dash ${host.agentPath} boot`], { env: host.env() })
    expect(existsSync(host.path('etc/systemd/system/parbake.timer'))).toBe(true)
    expect(existsSync(host.path('etc/cron.d/parbake'))).toBe(false)
  })

  it.each([
    ['10', /^OnCalendar=(\*:\d\/10)$/m],
    ['240', /^OnCalendar=(0\/4:\d+)$/m],
    ['1440', /^OnCalendar=(0:\d+)$/m],
  ])('gives systemd a calendar that it takes: %s', async (every, pattern) => {
    await using host = await bootedHost(every, { cron: false })
    const calendar = pattern.exec(host.text('etc/systemd/system/parbake.timer'))?.[1] ?? ''
    expect(calendar).not.toBe('')
    const known = await run('sh', ['-c', 'command -v systemd-analyze'], { allowFailure: true })
    if (known.exitCode === 0) await run('systemd-analyze', ['calendar', calendar])
  })

  it('is said to be missing where there is neither', async () => {
    await using host = await AgentHost.create()
    await rm(host.path('etc/cron.d'), { recursive: true })
    await rm(host.path('etc/systemd'), { recursive: true })
    await host.publish(testRecipe([host.step('one')]))
    expect((await host.run(['boot'])).code).toBe(0)
    expect(host.text('console')).toMatch(/neither cron nor systemd is here/)
  })
})

describe.each(names)('the schedule under OpenRC with busybox’s cron (%s)', (shell) => {
  const others = 'MAILTO=""\n*/15\t*\t*\t*\t*\trun-parts /etc/periodic/15min\n'

  /** As Alpine has it: no systemd, and root's table in a folder of its own. */
  async function alpine() {
    const host = await AgentHost.create({ every: '15' })
    for (const folder of ['etc/cron.d', 'etc/systemd']) await rm(host.path(folder), { recursive: true })
    for (const folder of ['etc/crontabs', 'etc/init.d', 'etc/runlevels/default']) {
      await mkdir(host.path(folder), { recursive: true })
    }
    await writeFile(host.path('etc/crontabs/root'), others, { mode: 0o600 })
    await symlink('/bin/busybox', host.path('bin/crond'))
    for (const tool of ['rc-update', 'rc-service']) await host.fake(tool, `echo ${tool} "$@" >>${host.path('out/rc')}`)
    await host.publish(testRecipe([host.step('one')]))
    expect(await host.run(['boot'], { shell })).toMatchObject({ code: 0, stdout: '', stderr: '' })
    return host
  }

  it('is a line of root’s table beside others, and a script for the boot', async () => {
    await using host = await alpine()
    const table = host.text('etc/crontabs/root')
    const own = /^\d+-59\/15 \* \* \* \* test -x (\S+) && (\S+) run --trigger cron # parbake\n$/.exec(
      table.slice(others.length),
    )
    expect(table.slice(0, others.length)).toBe(others)
    expect(own?.slice(1)).toEqual([host.agentPath, host.agentPath])
    expect(statSync(host.path('etc/crontabs/root')).mode & 0o777).toBe(0o600)
    expect(readdirSync(host.path('etc/crontabs'))).toEqual(['root'])
    expect(host.text('out/rc')).toBe('rc-update -q add crond default\nrc-service -q crond start\n')
    expect(host.report().schedule).toMatchObject({ everyMinutes: 15, cron: '' })

    await host.publish(testRecipe([host.step('one')], { everyMinutes: 30 }))
    await host.run(['run', '--trigger', 'cron'], { shell })
    await host.reboot()
    await host.run(['boot'], { shell })
    expect(host.text('etc/crontabs/root').slice(others.length)).toMatch(/^\d+-59\/30 [^\n]+ # parbake\n$/)
    const schedule = { cron: '0 3 * * 1', onCalendar: ['Mon *-*-* 3:0:00'], splaySeconds: 600 }
    await host.publish(testRecipe([host.step('one')], { schedule }))
    await host.run(['run', '--trigger', 'cron'], { shell })
    expect(host.text('etc/crontabs/root').slice(others.length)).toMatch(
      /^0 3 \* \* 1 sleep \d+; test [^\n]+ # parbake\n$/,
    )

    // What OpenRC does with the script, by stand-ins for its own commands.
    const script = host.path('etc/runlevels/default/parbake-boot')
    expect(statSync(script).mode & 0o777).toBe(0o755)
    expect(host.text('etc/init.d/parbake-boot')).toMatch(/^#!\/sbin\/openrc-run\n/)
    await host.fake('start-stop-daemon', 'echo "$*"')
    const stand = 'ebegin() { :; }; eend() { return "$1"; }; need() { :; }; use() { :; }; after() { :; }'
    const started = await run('dash', ['-euc', `${stand}; . ${script}; depend; start`], { env: host.env() })
    expect(started.stdout).toBe(`--start --background --exec ${host.agentPath} -- run --trigger boot`)
  })

  it('leaves a fresh boot to that script', async () => {
    await using host = await alpine()
    await host.reboot()
    await host.publish(testRecipe([host.step('one'), host.step('two')]))
    await writeFile(host.path('uptime'), '40.00 1.00\n')
    const env = { PARBAKE_UPTIME: host.path('uptime') }
    expect((await host.run(['run', '--trigger', 'cron'], { shell, env })).code).toBe(0)
    expect(host.trace()).toEqual(['one'])
  })

  it('goes without a trace, and nothing else does', async () => {
    await using host = await alpine()
    expect((await host.run(['uninstall'], { shell })).code).toBe(0)
    expect(host.text('etc/crontabs/root')).toBe(others)
    for (const folder of ['init.d', 'runlevels/default']) expect(readdirSync(host.path('etc', folder))).toEqual([])
  })
})

it('another cron that has a folder of its own for packages gets that', async () => {
  await using host = await AgentHost.create()
  await mkdir(host.path('etc/crontabs'))
  await host.fake('crond', '')
  await host.publish(testRecipe([host.step('one')]))
  await host.run(['boot'])
  expect(readdirSync(host.path('etc/crontabs'))).toEqual([])
  expect(host.text('etc/cron.d/parbake')).toMatch(/ root test -x /)
})

describe('a schedule by the calendar', () => {
  const schedule = { cron: '0 3 * * 1', onCalendar: ['Mon *-*-* 3:0:00', '*-*-1 3:0:00'], splaySeconds: 600 }

  it.each(names)('comes with the recipe, with a pause of the host’s own, and goes with it (%s)', async (shell) => {
    await using host = await bootedHost('15', { shell })
    await host.publish(testRecipe([host.step('one')], { schedule }))
    await host.run(['run', '--trigger', 'cron'], { shell })
    const line = /^0 3 \* \* 1 root sleep (\d+); test -x \S+ && \S+ run --trigger cron$/m
    const pause = Number(line.exec(host.text('etc/cron.d/parbake'))?.[1])
    expect(pause).toBeLessThan(600)
    await host.reboot()
    await host.run(['boot'], { shell })
    expect(line.exec(host.text('etc/cron.d/parbake'))?.[1]).toBe(String(pause))
    await writeFile(host.path('etc/machine-id'), 'another\n')
    await host.reboot()
    await host.run(['boot'], { shell })
    expect(line.exec(host.text('etc/cron.d/parbake'))?.[1]).not.toBe(String(pause))
    await host.publish(testRecipe([host.step('one')], { everyMinutes: 20 }))
    await host.run(['run', '--trigger', 'cron'], { shell })
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/20 \* \* \* \* root test/m)
  })

  it('is a timer where there is no cron, and made up for where it was missed', async () => {
    await using host = await bootedHost('15', { cron: false })
    await host.publish(testRecipe([host.step('one')], { schedule }))
    await host.run(['run', '--trigger', 'cron'])
    const timer = host.text('etc/systemd/system/parbake.timer')
    expect(timer).toContain('[Timer]\nOnCalendar=Mon *-*-* 3:0:00\nOnCalendar=*-*-1 3:0:00\nPersistent=true\n')
    expect(host.text('etc/systemd/system/parbake.service')).toMatch(
      /^ExecStartPre=\/bin\/sh -c 'sleep \d+'\nExecStart=\S+ run --trigger cron$/m,
    )
    const known = await run('sh', ['-c', 'command -v systemd-analyze'], { allowFailure: true })
    if (known.exitCode !== 0) return
    const units = ['parbake.timer', 'parbake.service'].map((name) => host.path('etc/systemd/system', name))
    const verified = await run('systemd-analyze', ['verify', ...units], { allowFailure: true })
    expect(verified.stderr.split('\n').filter((each) => each.includes('parbake'))).toEqual([])
  })

  it('that holds more than times is left out', async () => {
    await using host = await bootedHost('15')
    const evil = { cron: '0 3 * * 1 root touch /evil;', onCalendar: ['Mon\nExecStart=evil'], splaySeconds: 0 }
    await host.publish(testRecipe([host.step('one')], { schedule: evil }))
    await host.run(['run', '--trigger', 'cron'])
    expect(host.text('etc/cron.d/parbake')).toMatch(/^\d+-59\/15 /m)
    expect(host.text('etc/cron.d/parbake')).not.toContain('evil')
  })
})

describe('uninstall', () => {
  it.each([true, false])('removes everything that is the agent’s and nothing else (cron: %s)', async (cron) => {
    await using host = await bootedHost('15', { cron })
    await writeFile(host.path('etc/systemd/system/mine.service'), '')
    await writeFile(host.path('conf/mine'), '')
    await rm(host.path('out/systemctl'), { force: true })
    const result = await host.run(['uninstall'])
    expect(result.code).toBe(0)
    expect(result.stderr).toMatch(/removed/)
    for (const gone of ['state', 'run', 'agent.log', 'sbin/parbake-agent', 'conf/agent.conf', 'etc/cron.d/parbake']) {
      expect(existsSync(host.path(gone)) ? gone : '').toBe('')
    }
    const units = host.path('etc/systemd/system')
    const { stdout } = await run('find', [units, '-type', 'f', '-o', '-type', 'l'])
    expect(stdout.trim()).toBe(`${units}/mine.service`)
    expect(existsSync(host.path('conf/mine'))).toBe(true)
    expect(existsSync(host.path('out/trace'))).toBe(true)
    expect(host.text('out/systemctl')).toBe(cron ? '' : 'disable --now parbake.timer\ndaemon-reload\n')
  })
})

describe('the command line', () => {
  it('prints the last converge', async () => {
    await using host = await AgentHost.create()
    expect(await host.run(['status'])).toMatchObject({ code: 1, stdout: 'no converge has finished on this host yet\n' })
    const channel = await host.publish(
      testRecipe([host.step('one', '', { needs: [] }), host.step('two', 'exit 1', { needs: [] })], { parallel: 1 }),
    )
    const report = await host.converge({ code: 1 })
    const { code, stdout } = await host.run(['status'])
    expect(code).toBe(0)
    const [first, ...steps] = stdout.split('\n')
    expect(first).toMatch(
      new RegExp(
        `^failed recipe=web run=${report.run} serial=1 ran=1 stamped=0 failed=1 uptime=[0-9.]+ bundle=${channel.bundle} finished=[0-9]+$`,
      ),
    )
    expect(steps).toEqual([
      'step one ran false',
      'step two failed false',
      'channel web/stable expires=0 rollout=-',
      'agent version=1 image=-',
      expect.stringMatching(/^error step two failed with exit status 1 after /),
      '',
    ])
  })

  it.each([
    [[]],
    [['help']],
    [['run', '--trigger']],
    [['run', '--trigger', 'bake']],
    [['run', 'now']],
    [['run', '--x', 'y']],
  ])('refuses %j', async (args) => {
    await using host = await AgentHost.create()
    const result = await host.run(args)
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(/^usage: parbake-agent /)
    expect(existsSync(host.path('state'))).toBe(false)
  })

  it('tells its version', async () => {
    await using host = await AgentHost.create()
    expect(await host.run(['version'])).toMatchObject({ code: 0, stdout: '1\n' })
  })

  it.each([
    ['recipe', '../x', /'..\/x' is no valid recipe, channel, region or purpose/],
    ['store', 'ftp://x', /store 'ftp:\/\/x' or auth 'anonymous' is unknown/],
    ['auth', 'magic', / or auth 'magic' is unknown/],
    ['key', '', /nothing could be trusted/],
  ])('refuses settings with a wrong %s', async (name, value, error) => {
    await using host = await AgentHost.create({ [name]: value })
    if (name === 'key')
      await writeFile(host.path('conf/agent.conf'), host.text('conf/agent.conf').replace(/^key=.*\n/m, ''))
    const result = await host.run(['run', '--trigger', 'boot'])
    expect(result.code).toBe(2)
    expect(host.text('console')).toMatch(error)
    expect(host.text('console')).toMatch(/^parbake: failed recipe=\S+ run=none /m)
  })

  it('refuses to work without settings', async () => {
    await using host = await AgentHost.create()
    await rm(host.path('conf/agent.conf'))
    expect(await host.run(['run'])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/is missing or unreadable/) as string,
    })
  })

  it('does not run settings', async () => {
    await using host = await AgentHost.create({ 'x$(touch out/evil)': '`touch out/evil`', region: 'us-east-1' })
    await host.publish(testRecipe([host.step('one')]))
    await host.converge()
    expect(existsSync(host.path('out/evil'))).toBe(false)
  })
})

describe('the agent’s own update', () => {
  const next = (host: AgentHost) => `${host.text('sbin/parbake-agent')}# newer\n`

  it('comes with the channel', async () => {
    await using host = await AgentHost.create()
    const text = next(host)
    await host.put(keys.agent(sha256(text)), text)
    await host.publish(testRecipe([host.step('one')]), { content: { agent: sha256(text) } })
    await host.converge()
    expect(host.text('sbin/parbake-agent')).toBe(text)
    expect(lstatSync(host.agentPath).mode & 0o777).toBe(0o755)
    expect(await host.converge()).toMatchObject({ outcome: 'ok' })
  })

  it.each([
    ['is not there', undefined],
    ['is another', (text: string) => `${text}# changed\n`],
    ['is cut short', (text: string) => text.slice(0, 1000)],
  ])('is left where the new one %s', async (_, spoil) => {
    await using host = await AgentHost.create()
    const before = host.text('sbin/parbake-agent')
    const text = next(host)
    if (spoil !== undefined) await host.put(keys.agent(sha256(text)), spoil(text))
    await host.publish(testRecipe([host.step('one')]), { content: { agent: sha256(text) } })
    expect(await host.converge()).toMatchObject({ outcome: 'ok' })
    expect(host.text('sbin/parbake-agent')).toBe(before)
    expect(host.text('agent.log')).toMatch(/could not be had/)
  })

  /** Publishes an agent that does this before it begins, and converges. */
  async function offer(host: AgentHost, prelude: string) {
    const text = host.text('sbin/parbake-agent').replace('\n', () => `\n${prelude}\n`)
    await host.put(keys.agent(sha256(text)), text)
    await host.publish(testRecipe([host.step('one')]), { content: { agent: sha256(text) } })
    await host.converge()
    return text
  }

  it('keeps the agent before it', async () => {
    await using host = await AgentHost.create()
    const before = host.text('sbin/parbake-agent')
    const text = await offer(host, ': newer')
    expect(host.text('sbin/parbake-agent')).toBe(text)
    expect(host.text('sbin/parbake-agent.previous')).toBe(before)
    expect(existsSync(host.path('sbin/parbake-agent.new'))).toBe(false)
  })

  it.each([
    ['ends before its report', 'exit 0'],
    ['fails', '[ "$1" != run ] || exit 7'],
    ['is killed', 'kill -KILL $$'],
    ['fails each converge', 'PARBAKE_CONF=/nowhere'],
  ])('is undone where the new one %s, and not tried again until another is named', async (_, prelude) => {
    await using host = await AgentHost.create()
    const before = host.text('sbin/parbake-agent')
    await offer(host, prelude)
    expect(host.text('sbin/parbake-agent')).toBe(before)
    expect(host.text('agent.log')).toMatch(/failed its first converge/)
    const tried = host.text('agent.log').match(/failed its first converge/g)?.length
    expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
    await host.converge()
    expect(host.text('agent.log').match(/failed its first converge/g)?.length).toBe(tried)
    expect(await offer(host, ': good')).toBe(host.text('sbin/parbake-agent'))
  })

  it('is tried again after a power cut in the middle, but not for ever', async () => {
    await using host = await AgentHost.create()
    const before = host.text('sbin/parbake-agent')
    // Takes the agent that tries it down as well.
    const text = before.replace('\n', () => '\n[ -z "${PARBAKE_TRIAL:-}" ] || { kill -KILL $PPID; kill -KILL $$; }\n')
    await host.put(keys.agent(sha256(text)), text)
    await host.publish(testRecipe([host.step('one')]), { content: { agent: sha256(text) } })
    await host.fake('timeout', 'shift 3; exec "$@"')
    for (const signal of ['SIGKILL', 'SIGKILL', null, null]) {
      await host.reboot()
      expect((await host.run(['run'])).signal).toBe(signal)
    }
    expect(host.text('sbin/parbake-agent')).toBe(before)
    expect(host.text('agent.log')).toMatch(/the host went down twice/)
  })

  it('is had later where the store had it not', async () => {
    await using host = await AgentHost.create()
    const text = next(host)
    await host.publish(testRecipe([host.step('one')]), { content: { agent: sha256(text) } })
    await host.converge()
    await host.put(keys.agent(sha256(text)), text)
    expect((await host.run(['run', '--trigger', 'cron'])).code).toBe(0)
    expect(host.text('sbin/parbake-agent')).toBe(text)
  })
})
