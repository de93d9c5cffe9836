import { readFileSync } from 'node:fs'
import { copyFile, rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import type { BootRecord, Report } from '../../src/profile/report.ts'
import { run } from '../../src/system/run.ts'
import { AgentHost, shells, testRecipe, type ShellName } from '../support/agent.ts'

const path = new URL('../../bootstrap/measure.sh', import.meta.url).pathname
const fixtures = new URL('../fixtures/boot-debian-12/', import.meta.url).pathname
const names = Object.keys(shells) as ShellName[]

describe('what measures', () => {
  it('passes shellcheck', async () => {
    const result = await run('shellcheck', ['-s', 'dash', path], { allowFailure: true })
    expect(result.stdout).toBe('')
  })

  it.each(Object.entries(shells))('parses under %s', async (_, [command, ...args]) => {
    await run(command, [...args, '-n', path])
  })
})

/** A host that looks like the machine on which the fixtures were taken, 198.78 s after its kernel had started. */
async function bootedHost(log?: (text: string) => string): Promise<AgentHost> {
  const host = await AgentHost.create()
  const text = readFileSync(`${fixtures}cloud-init-log.txt`, 'utf8')
  await rm(host.path('container'))
  await writeFile(host.path('cloud-init.log'), log === undefined ? text : log(text))
  await copyFile(`${fixtures}status.json`, host.path('status.json'))
  await writeFile(host.path('uptime'), '198.78 95.92\n')
  await host.fake('dmesg', `cat ${fixtures}dmesg`)
  await host.fake('systemctl', `case $* in *'*.service'*) cat ${fixtures}units ;; *) cat ${fixtures}manager ;; esac`)
  await host.fake('date', `case $* in +%s.%N) echo 1795192934.094855950 ;; *) exec /bin/date "$@" ;; esac`)
  await host.publish(testRecipe([host.step('one')]))
  return host
}

async function convergeBooted(
  host: AgentHost,
  shell: ShellName = 'dash',
  cgroup = `${fixtures}cgroup`,
): Promise<Report> {
  return host.converge({ shell, env: { PARBAKE_UPTIME: host.path('uptime'), PARBAKE_CGROUP: cgroup } })
}

const stages = (boot: BootRecord | undefined) =>
  (boot?.cloudInit ?? []).filter(({ name }) => !name.includes('/')).map(({ name, result }) => [name, result])

describe.each([...names.map((shell) => [shell, 'awk']), ['dash', 'mawk'], ['dash', 'gawk'], ['dash', 'busybox awk']])(
  'the record of a boot under %s with %s',
  (shell, awk) => {
    it('holds kernel, initrd, the chain of units and every stage and module', async () => {
      await using host = await bootedHost()
      await host.fake('awk', `PATH=/usr/bin:/bin exec ${awk} "$@"`)
      const { boot, phases } = await convergeBooted(host, shell as ShellName)
      expect(boot).toMatchObject({ clock: 'uptime', kernelSeconds: 7.551, initrdSeconds: 5.588 })
      expect(boot?.units.map(({ name }) => name)).toEqual([
        'systemd',
        '-.mount',
        'systemd-journald.socket',
        'systemd-fsck-root.service',
        'systemd-remount-fs.service',
        'cloud-init-local.service',
        'network-pre.target',
        'systemd-networkd.service',
        'systemd-networkd-wait-online.service',
        'cloud-init.service',
        'sysinit.target',
        'dbus.socket',
        'sockets.target',
        'basic.target',
        'cloud-config.service',
        'cloud-final.service',
      ])
      expect(boot?.units[5]).toEqual({ name: 'cloud-init-local.service', start: 24.248, end: 69.795 })
      // It is still starting: the agent runs inside.
      expect(boot?.units.at(-1)?.end).toBe(198.78)
      expect(stages(boot)).toEqual([
        ['init-local', 'SUCCESS'],
        ['init-network', 'SUCCESS'],
        ['modules-config', 'SUCCESS'],
        ['modules-final', 'running'],
      ])
      expect(boot?.cloudInit).toHaveLength(36)
      expect(boot?.cloudInit.find(({ name }) => name === 'init-network/config-ssh')).toEqual({
        name: 'init-network/config-ssh',
        start: 104.776,
        end: 136.096,
        result: 'SUCCESS',
      })
      expect(boot?.cloudInit.at(-1)).toMatchObject({
        name: 'modules-final/config-scripts-user',
        end: 198.78,
        result: 'running',
      })
      expect(phases?.map(({ name }) => name)).toEqual([
        'prepare',
        'channel',
        'verify',
        'bundle',
        'extract',
        'index',
        'wait',
      ])
    })
  },
)

/** The fixture's log an hour and a boot earlier. */
const earlierBoot = (text: string) => text.replaceAll(' 16:', ' 14:').replaceAll('SUCCESS', 'FAIL')

describe('cloud-init’s log', () => {
  const others: readonly (readonly [string, (text: string) => string, readonly string[]])[] = [
    ['of several boots', (text) => earlierBoot(text) + text, []],
    ['of a boot before that broke off', (text) => earlierBoot(text).slice(0, 9000) + text, []],
    ['with torn and foreign lines', (text) => text.replaceAll(/\n(?=.*Running)/g, '\n\0garbage\n2026-11-20 16:4'), []],
    ['in local time', (text) => text.replaceAll(/^2026-11-20 16:/gm, '2026-11-20 21:'), []],
  ]

  it.each(others)('%s gives the same record', async (_, change) => {
    await using plain = await bootedHost()
    await using changed = await bootedHost(change)
    const expected = (await convergeBooted(plain)).boot?.cloudInit
    expect((await convergeBooted(changed)).boot?.cloudInit).toEqual(expected)
  })

  it('whose clock was set in between gives times to the second', async () => {
    // Until the network was there, the clock was three days late.
    await using host = await bootedHost((text) =>
      text
        .replaceAll(/^2026-11-20 (16:39|16:40:0)/gm, '2026-11-17 $1')
        .replace('Fri, 20 Nov 2026 16:39:53', 'Tue, 17 Nov 2026 16:39:53'),
    )
    const cloudInit = (await convergeBooted(host)).boot?.cloudInit ?? []
    const search = cloudInit.find(({ name }) => name === 'init-local/search-NoCloud')
    expect(search?.start).toBeCloseTo(60.249, -0.5)
    expect((search?.end ?? 0) - (search?.start ?? 0)).toBeCloseTo(3.948, 2)
    expect(cloudInit.find(({ name }) => name === 'init-network/config-ssh')?.start).toBe(104.776)
  })

  it('that ends in the middle of a stage tells so', async () => {
    await using host = await bootedHost((text) => {
      const cut = text.indexOf('finish: init-network/config-growpart')
      return text.slice(0, text.lastIndexOf('\n', cut) + 1) + text.slice(text.indexOf("running 'modules:config'") - 80)
    })
    const cloudInit = (await convergeBooted(host)).boot?.cloudInit ?? []
    const growpart = cloudInit.find(({ name }) => name === 'init-network/config-growpart')
    expect(growpart).toMatchObject({ result: 'unfinished' })
    expect(growpart?.end).toBeLessThan(165.05)
  })

  it.each([
    ['is empty', () => ''],
    ['holds nothing of use', () => 'what is this?\n'.repeat(1000)],
  ])('that %s leaves the stages, from the status file', async (_, change) => {
    await using host = await bootedHost(change)
    const { boot } = await convergeBooted(host)
    expect(stages(boot)).toEqual([
      ['init-local', 'SUCCESS'],
      ['init-network', 'SUCCESS'],
      ['modules-config', 'SUCCESS'],
      ['modules-final', 'running'],
    ])
    expect(boot?.cloudInit[0]?.start).toBeCloseTo(58.05, 1)
  })

  it('of an earlier boot does not count where cloud-init has not run in this one', async () => {
    await using host = await bootedHost()
    await rm(host.path('status.json'))
    const { boot } = await convergeBooted(host)
    expect(boot).toMatchObject({ cloudInit: [], kernelSeconds: 7.551 })
  })
})

describe('the record of a boot', () => {
  it('is made once per boot', async () => {
    await using host = await bootedHost()
    expect((await convergeBooted(host)).boot).toBeDefined()
    await host.publish(testRecipe([host.step('two')]))
    expect((await convergeBooted(host)).boot).toBeUndefined()
    await host.reboot()
    expect((await convergeBooted(host)).boot).toBeDefined()
  })

  it.each([
    ['0::/system.slice/cloud-init-main.service', 16, 'cloud-final.service'],
    ['1:name=systemd:/system.slice/cloud-config.service', 15, 'cloud-config.service'],
    ['0::/user.slice/user-0.slice/session-1.scope', 0, undefined],
    ['0::/system.slice/unknown.service', 1, 'systemd'],
  ])('follows the chain of units from %s', async (cgroup, count, last) => {
    await using host = await bootedHost()
    await writeFile(host.path('cgroup'), `2:cpu:/x\n${cgroup}\n`)
    const units = (await convergeBooted(host, 'dash', host.path('cgroup'))).boot?.units ?? []
    expect([units.length, units.at(-1)?.name]).toEqual([count, last])
  })

  it('has the firmware’s time where EFI tells', async () => {
    await using host = await bootedHost()
    const manager = readFileSync(`${fixtures}manager`, 'utf8')
      .replace(/^Firmware.*/m, 'FirmwareTimestampMonotonic=4500000')
      .replace(/^Loader.*/m, 'LoaderTimestampMonotonic=1250000')
    await writeFile(host.path('manager'), manager)
    await host.fake(
      'systemctl',
      `case $* in *'*.service'*) cat ${fixtures}units ;; *) cat ${host.path('manager')} ;; esac`,
    )
    expect((await convergeBooted(host)).boot).toMatchObject({ firmwareSeconds: 3.25, loaderSeconds: 1.25 })
  })

  it('is left out in a container, where clock and kernel are the host’s', async () => {
    await using host = await bootedHost()
    await writeFile(host.path('container'), 'systemd-nspawn')
    const report = await convergeBooted(host)
    expect(report.boot).toBeUndefined()
    expect(report.phases).toHaveLength(7)
  })

  it.each([
    ['awk', 'exit 127'],
    ['awk', 'echo "{{{"; exit 1'],
    ['systemctl', 'exit 1'],
    ['dmesg', 'kill -9 $PPID'],
    ['sed', 'case $* in *name=systemd*) exit 3 ;; esac; exec /bin/sed "$@"'],
  ])('fails no converge where %s does: %s', async (tool, script) => {
    await using host = await bootedHost()
    await host.fake(tool, script)
    const result = await host.run(['run'], {
      env: { PARBAKE_UPTIME: host.path('uptime'), PARBAKE_CGROUP: `${fixtures}cgroup` },
    })
    expect(result.code).toBe(0)
    expect(host.trace()).toEqual(['one'])
    expect(host.report().steps).toHaveLength(1)
  })
})
