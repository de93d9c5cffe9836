import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isRoot } from '../../seal/support.ts'
import { fullOnly } from '../../vm/support.ts'
import { openBase, points, type BootedBase } from './base.ts'
import { agentUnit, BootedHost, until, type Published } from './host.ts'

/**
 * Converges that are killed, with all that they have started, at moments spread evenly over them, in systems with their own
 * systemd and cloud-init. Whatever starts next must end as if nothing had been. What the disk keeps of a power cut is
 * power-cut.vm.test.ts's: the kernel of these hosts lives on.
 */
describe.runIf(isRoot)('a host whose converge is killed', { timeout: 3_600_000 }, () => {
  let base: BootedBase
  let version = 0

  beforeAll(async () => {
    base = await openBase()
  })

  afterAll(async () => {
    await base[Symbol.asyncDispose]()
  })

  const nextVersion = () => `v${(version += 1)}`

  /** Nothing counts as done that was not done to its end. Hands back how many steps count. */
  async function expectTrueStamps(host: BootedHost, where: string): Promise<number> {
    const { stamped, done } = await host.look()
    const present = stamped.filter((work) => work.version === `v${version}`)
    const untrue = present.filter(
      ({ name }) => !done.some((work) => work.name === name && work.version === `v${version}`),
    )
    expect({ where, untrue }).toEqual({ where, untrue: [] })
    return present.length
  }

  /** After a converge that nobody disturbed: all is done, the next one finds nothing to do, and no litter is left. */
  async function expectWell(host: BootedHost, { agent }: Published, where: string): Promise<void> {
    const { exitCode, stderr } = await host.sh('parbake-agent run --trigger cron')
    const { stamped, done } = await host.look()
    const current = (works: typeof done) =>
      works
        .filter((work) => work.version === `v${version}`)
        .map(({ name }) => name)
        .toSorted()
    const after = await host.sh(
      [
        'parbake-agent status | head -n 1',
        'sha256sum /usr/local/sbin/parbake-agent',
        'ls /var/lib/parbake /usr/local/sbin | grep -E "new$|^trial$|refused$"',
      ].join(';'),
    )
    const [status = '', digest = '', ...litter] = after.stdout.split('\n').filter((line) => line !== '')
    const all = ['four', 'one', 'three', 'two']
    expect({ where, exitCode, stderr, litter, stamped: current(stamped), done: current(done), digest }).toEqual({
      ...{ where, exitCode: 0, stderr: '', litter: [], stamped: all, done: all },
      digest: `${agent}  /usr/local/sbin/parbake-agent`,
    })
    expect(status).toMatch(/^ready recipe=web .* serial=\d+ /)
  }

  /** Tries every point and prints what came of them; `tryPoint` says whether the converge was killed in its middle. */
  async function tryPoints(
    what: string,
    whole: number,
    count: number,
    tryPoint: (delay: number, where: string) => Promise<{ killed: boolean; stamps: number }>,
  ): Promise<void> {
    const seen = { killed: 0, stamps: 0 }
    for (let point = 0; point < count; point += 1) {
      const delay = (whole * (point + 0.5)) / count
      const { killed, stamps } = await tryPoint(delay, `${what}, after ${Math.round(delay)} of ${Math.round(whole)} ms`)
      seen.killed += killed ? 1 : 0
      seen.stamps += stamps
    }
    process.stdout.write(
      `${what}: killed ${seen.killed} of ${count} booted hosts in the middle, with ${seen.stamps} steps done; all ended well\n`,
    )
    expect(seen.killed).toBeGreaterThan(count / 3)
  }

  test('by kill -9 while it converges for the first time', async () => {
    await using host = await BootedHost.create(base.context, base.disk)
    await host.publish(nextVersion())
    await host.boot()
    await host.converged()
    const again = async () => {
      await host.forget()
      return host.publish(nextVersion())
    }
    await again()
    await tryPoints('the first converge', await host.timed(agentUnit), points(4, 84), async (delay, where) => {
      const published = await again()
      const killed = await host.killed(agentUnit, delay)
      const stamps = await expectTrueStamps(host, where)
      await host.runCronLine()
      await expectWell(host, published, where)
      return { killed, stamps }
    })
  })

  test('by kill -9 while it takes a new version and a new agent', async () => {
    await using host = await BootedHost.create(base.context, base.disk)
    await host.publish(nextVersion())
    await host.boot()
    await host.converged()
    const cronUnit = await host.makeCronUnit()
    await host.publish(nextVersion(), { agent: true })
    await tryPoints('an update', await host.timed(cronUnit), points(4, 84), async (delay, where) => {
      const published = await host.publish(nextVersion(), { agent: true })
      const killed = await host.killed(cronUnit, delay)
      const stamps = await expectTrueStamps(host, where)
      await host.runCronLine()
      await expectWell(host, published, where)
      return { killed, stamps }
    })
  })

  test('by pulling the plug of a host that boots for the first time, as warm pools do', async () => {
    await tryPoints('the first boot', await wholeBoot(), points(1, 42), async (delay, where) => {
      await using host = await BootedHost.create(base.context, base.disk)
      const published = await host.publish(nextVersion())
      const begin = performance.now()
      await host.boot()
      await sleep(delay - (performance.now() - begin))
      await host.cut()
      const killed = !host.hasFile('/var/lib/parbake/status')
      await host.boot()
      const stamps = await expectTrueStamps(host, where)
      await host.converged().catch(async (error: unknown) => {
        throw new Error(`${where}: ${String(error)}\n${await host.console()}`)
      })
      await expectWell(host, published, where)
      return { killed, stamps }
    })
  })

  // Cloud-init notes that it has done something before it does it, and does not do it again: nothing else starts stage-0 then.
  test.each(fullOnly ? ['config_write_files', 'config_runcmd', 'config_scripts_user'] : ['config_scripts_user'])(
    'by pulling the plug in the middle of what cloud-init notes as %s',
    async (note) => {
      await using host = await BootedHost.create(base.context, base.disk)
      const published = await host.publish(nextVersion())
      await host.boot()
      const path = `/var/lib/cloud/instances/${host.place.host.instanceId}/sem/${note}`
      await until(`cloud-init notes ${note}`, () => host.hasFile(path), 1)
      await host.cut()
      const scheduled = host.hasFile('/etc/cron.d/parbake')
      await host.boot()
      await host.converged()
      await expectWell(host, published, note)
      process.stdout.write(`${note}: ${scheduled ? 'too late' : 'before the host had a schedule'}; ended well\n`)
    },
  )

  /** Milliseconds from the start of a fresh host to the end of its first converge. */
  async function wholeBoot(): Promise<number> {
    await using host = await BootedHost.create(base.context, base.disk)
    await host.publish(nextVersion())
    const begin = performance.now()
    await host.boot()
    await host.converged()
    return performance.now() - begin
  }
})
