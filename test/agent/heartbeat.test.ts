import { readdirSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { AgentHost, outcomes, shells, testRecipe, type ShellName } from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]
const hour = 3600

/** A host that has booted, is scheduled, and whose uptime the test sets. */
async function bootedHost(shell?: ShellName, every = '15') {
  const host = await AgentHost.create({ every })
  await host.fake('cron', '')
  const options = { env: { PARBAKE_UPTIME: host.path('uptime'), TZ: 'XYZ-05:30' }, ...(shell && { shell }) }
  const at = (seconds: number) => writeFile(host.path('uptime'), `${seconds}.00 1.00\n`)
  const cron = async (seconds: number) => {
    await at(seconds)
    expect(await host.run(['run', '--trigger', 'cron'], options)).toMatchObject({ code: 0, stdout: '', stderr: '' })
    return reportsOf(host)
  }
  await at(100)
  const boot = () => host.run(['boot'], options)
  return { host, boot, cron, options }
}

/** How many reports the store has. */
function reportsOf(host: AgentHost): number {
  return readdirSync(host.path('store/reports/web'), { recursive: true }).filter((name) =>
    String(name).endsWith('.json'),
  ).length
}

describe.each(names)('a host with nothing to do (%s)', (shell) => {
  it('reports all the same after most of a day, as it has said that it would', async () => {
    const { host, boot, cron } = await bootedHost(shell)
    await using _ = host
    await host.publish(testRecipe([host.step('one')]))
    expect((await boot()).code).toBe(0)
    const { schedule } = host.report()
    const { reportSeconds = 0, ...rest } = schedule ?? {}
    expect(rest).toEqual({ everyMinutes: 15, cron: '', splaySeconds: 0, zone: '+0000' })
    expect(reportSeconds).toBeGreaterThanOrEqual(18 * hour)
    expect(reportSeconds).toBeLessThan(22 * hour)
    expect(await cron(100 + hour)).toBe(1)
    expect(await cron(99 + reportSeconds)).toBe(1)
    expect(await cron(101 + reportSeconds)).toBe(2)
    expect(host.report()).toMatchObject({ trigger: 'cron', outcome: 'ok', first: false, cold: false })
    expect(outcomes(host.report())).toEqual({ one: 'stamped' })
    expect(host.trace()).toEqual(['one'])
    expect(await cron(102 + reportSeconds)).toBe(2)
    expect(await cron(101 + 2 * reportSeconds)).toBe(3)
  })

  it('says by which calendar it goes, and in which zone, in the report of the converge that brings it', async () => {
    const { host, boot, cron } = await bootedHost(shell)
    await using _ = host
    await host.publish(testRecipe([host.step('one')]))
    await boot()
    const schedule = { cron: '0 3 * * 1', onCalendar: ['Mon *-*-* 3:0:00'], splaySeconds: 600 }
    await host.publish(testRecipe([host.step('one'), host.step('two')], { schedule }))
    await cron(700)
    expect(host.report().schedule).toMatchObject({ cron: '0 3 * * 1', splaySeconds: 600, zone: '+0530' })
    await host.publish(testRecipe([host.step('one')], { everyMinutes: 30 }))
    await cron(800)
    expect(host.report().schedule).toMatchObject({ cron: '', splaySeconds: 0, everyMinutes: 30 })
  })
})

it('differ in when they report', async () => {
  const times = new Set<number | undefined>()
  for (const machine of ['a', 'b', 'c', 'd']) {
    const { host, boot } = await bootedHost()
    await using _ = host
    await writeFile(host.path('etc/machine-id'), `${machine}\n`)
    await host.publish(testRecipe([host.step('one')]))
    await boot()
    times.add(host.report().schedule?.reportSeconds)
  }
  expect(times.size).toBe(4)
})

it('a report that did not get through is made up for within the hour, not at each run', async () => {
  const { host, boot, cron } = await bootedHost()
  await using _ = host
  await host.publish(testRecipe([host.step('one')]))
  await host.put('reports/web', 'in the way')
  expect((await boot()).code).toBe(0)
  expect(host.text('agent.log')).toMatch(/answered 404 for the report/)
  await rm(host.path('store/reports/web'))
  await host.put('reports/web/dt=2026-01-01/x.txt', '')
  expect(await cron(100 + hour - 60)).toBe(0)
  expect(await cron(100 + hour + 60)).toBe(1)
  expect(await cron(100 + 2 * hour)).toBe(1)
})

it('where nothing converges by itself, nothing is promised', async () => {
  await using host = await AgentHost.create()
  await host.publish(testRecipe([host.step('one')]))
  expect((await host.converge()).schedule).toBeUndefined()
})

it('through a presigned URL a report of the first boot is not written over', async () => {
  const { host, boot, cron, options } = await bootedHost()
  await using _ = host
  await host.publish(testRecipe([host.step('one')]))
  expect((await boot()).code).toBe(0)
  await host.configure({ auth: 'presigned' })
  await host.publish(testRecipe([host.step('one'), host.step('two')]))
  await host.run(['run'], options)
  expect(host.report().schedule).toBeUndefined()
  const before = reportsOf(host)
  expect(await cron(100_000)).toBe(before)
})
