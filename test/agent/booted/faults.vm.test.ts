import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isRoot } from '../../seal/support.ts'
import type { Answer } from '../../support/fault-store.ts'
import type { ProxyFault } from '../../support/fault-proxy.ts'
import { fullOnly } from '../../vm/support.ts'
import { openBase, type BootedBase } from './base.ts'
import { BootedHost, until, usualSteps } from './host.ts'

/**
 * What goes wrong around a converge, in systems with their own systemd and cloud-init: the host stays as it was and says why,
 * and converges once it can. Clocks that are years off are tried in steering.test.ts instead: containers share the clock of
 * this machine, and which time the agent believes is decided by one program, `date`, that a test can put in its place.
 */

interface Fault {
  readonly name: string
  /** What the host says of it. */
  readonly says: RegExp
  /** Brings it about; hands back what ends it. */
  readonly cause: (host: BootedHost) => Promise<() => Promise<void>>
  /** Seconds that the host must give up within; 60 where absent. */
  readonly within?: number
  /** Left out of bounded runs: it takes long, or much the same is tried in them. */
  readonly slow?: true
}

const html = '<html><body>Sign in to the hotel network</body></html>'

/** Breaks what the store says of some objects. */
function store(prefix: string, fault: ProxyFault): Fault['cause'] {
  return (host) => {
    host.proxy.fault = (method, key) => (method === 'GET' && key.startsWith(prefix) ? fault : undefined)
    return Promise.resolve(() => {
      host.proxy.fault = undefined
      return Promise.resolve()
    })
  }
}

const answers = (answer: Answer) => store('channels/', { kind: 'answer', answer })

/** Runs commands in the host, and others to end what they did. */
function commands(cause: readonly string[], end: readonly string[]): Fault['cause'] {
  return async (host) => {
    await host.do(...cause)
    return async () => void (await host.do(...end))
  }
}

const flipped = (body: Buffer) => Buffer.from(body.with(body.length >> 1, body[body.length >> 1]! ^ 1))

/** Gives the agent's state a file system of its own, in memory, and fills that. */
const fillState = [
  'mkdir -p /var/lib/parbake && cp -a /var/lib/parbake /run/own',
  'mount -t tmpfs -o mode=0711,size=2m own /var/lib/parbake',
  'cp -a /run/own/. /var/lib/parbake',
  'dd if=/dev/zero of=/var/lib/parbake/filler bs=4k 2>/dev/null || :',
]
const emptyState = ['umount /var/lib/parbake', 'rm -r /run/own']

/** Takes the name server away that the host asks, and with it all that it knows by itself. */
const nameless = ['cp /etc/hosts /run/hosts', `sed -i /store/d /etc/hosts`, 'systemctl stop systemd-resolved']
const named = ['cp /run/hosts /etc/hosts', 'systemctl start systemd-resolved']
const silentServer =
  'import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.53", 53)); time.sleep(3600)'

const faults: readonly Fault[] = [
  {
    name: 'the store answers 403',
    says: /answered 403 for channels.*check the credentials/,
    cause: answers({ status: 403 }),
  },
  {
    name: 'the store answers 404',
    slow: true,
    says: /answered 404 .*publish the recipe first/,
    cause: answers({ status: 404 }),
  },
  { name: 'the store answers 500', says: /answered 500 for channels/, cause: answers({ status: 500 }), slow: true },
  {
    name: 'the store answers 503 and asks to wait',
    says: /answered 503 for channels/,
    cause: answers({ status: 503, headers: { 'Retry-After': '3' } }),
  },
  {
    name: 'a captive portal',
    says: /what the store sent is no channel file/,
    cause: answers({ status: 200, body: html }),
  },
  {
    name: 'a captive portal that redirects',
    slow: true,
    says: /answered 302 for channels/,
    cause: answers({ status: 302, body: html, headers: { location: 'http://portal.test/' } }),
  },
  {
    name: 'a channel that breaks off',
    says: /answered 000 for channels.*cannot be reached/,
    cause: store('channels/', { kind: 'cut', bytes: 100 }),
  },
  {
    name: 'a channel cut short',
    slow: true,
    says: /the channel|no channel file/,
    cause: store('channels/', { kind: 'body', change: (body) => body.subarray(0, body.length >> 1) }),
  },
  {
    name: 'a channel with a bit changed',
    says: /the channel/,
    cause: store('channels/', { kind: 'body', change: flipped }),
  },
  {
    name: 'a bundle that breaks off',
    says: /answered 000 for bundle/,
    cause: store('bundles/', { kind: 'cut', bytes: 100 }),
    slow: true,
  },
  {
    name: 'a bundle cut short',
    slow: true,
    says: /bundle \w+ is damaged/,
    cause: store('bundles/', { kind: 'body', change: (body) => body.subarray(0, -1) }),
  },
  {
    name: 'a bundle with a bit changed',
    says: /bundle \w+ is damaged/,
    cause: store('bundles/', { kind: 'body', change: flipped }),
  },
  {
    name: 'a bundle that is gone',
    slow: true,
    says: /answered 404 for bundle/,
    cause: store('bundles/', { kind: 'answer', answer: { status: 404 } }),
  },
  {
    name: 'a channel in drips',
    says: /answered 000 for channels.*does not answer in time/,
    cause: store('channels/', { kind: 'drip', bytesPerSecond: 8 }),
    within: 150,
    slow: true,
  },
  {
    name: 'a bundle in drips',
    says: /answered 000 for bundle .*does not answer in time/,
    cause: store('bundles/', { kind: 'drip', bytesPerSecond: 8 }),
    within: 150,
    slow: true,
  },
  {
    name: 'a store that takes the request and says nothing',
    says: /answered 000 for channels.*does not answer in time/,
    cause: store('channels/', { kind: 'silence' }),
    within: 150,
    slow: true,
  },
  {
    name: 'no way to the store',
    slow: true,
    says: /answered 000 for channels.*cannot be reached/,
    cause: commands(
      ['ip route add prohibit "$(sed -n "s/ store.*//p" /etc/hosts)"'],
      ['ip route del prohibit "$(sed -n "s/ store.*//p" /etc/hosts)"'],
    ),
  },
  {
    name: 'no name server',
    says: /answered 000 for channels.*cannot be reached/,
    cause: commands(nameless, named),
  },
  {
    name: 'a name server that says nothing',
    says: /answered 000 for channels.*does not answer in time/,
    cause: commands(
      [...nameless, `systemd-run --quiet --unit=silent python3 -c '${silentServer}'`],
      ['systemctl stop silent', ...named],
    ),
    within: 150,
    slow: true,
  },
  {
    name: 'a full disk',
    says: /is the disk full/,
    cause: commands(fillState, emptyState),
  },
  {
    name: 'a disk that became read-only',
    says: /cannot be (written|made)/,
    cause: commands(
      // A mount of its own: what is open for writing keeps the one below it from being read-only.
      ['mount --bind /var /var', 'mount -o remount,bind,ro /var'],
      ['umount /var'],
    ),
  },
]

describe.runIf(isRoot)('a booted host', { timeout: 1_200_000 }, () => {
  let base: BootedBase
  let host: BootedHost
  let version = 0
  const outcomes: string[] = []

  beforeAll(async () => {
    base = await openBase()
    host = await BootedHost.create(base.context, base.disk)
    await host.publish(nextVersion())
    await host.boot()
    await host.converged()
  })

  afterAll(async () => {
    await host[Symbol.asyncDispose]()
    await base[Symbol.asyncDispose]()
    process.stdout.write(
      `${outcomes.length} faults in booted hosts, each told and made up for:\n${outcomes.join('\n')}\n`,
    )
  })

  const nextVersion = () => `v${(version += 1)}`
  const all = ['four', 'one', 'three', 'two']

  /** The steps whose work is whole and of this version. */
  async function doneOf(wanted: string): Promise<readonly string[]> {
    const { stamped, done } = await host.look()
    const of = (works: typeof done) =>
      works
        .filter((work) => work.version === wanted)
        .map(({ name }) => name)
        .toSorted()
    const untrue = of(stamped).filter((name) => !of(done).includes(name))
    expect({ wanted, untrue }).toEqual({ wanted, untrue: [] })
    return of(done)
  }

  /** What a fault came to: an exit code, where it was told, and how long it held the host up. */
  async function converge(): Promise<{ exitCode: number; stderr: string; seconds: number }> {
    const begin = performance.now()
    const { exitCode, stderr } = await host.runCronLine()
    return { exitCode, stderr, seconds: (performance.now() - begin) / 1000 }
  }

  async function expectNowWell(): Promise<void> {
    expect(await host.runCronLine()).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await doneOf(`v${version}`)).toEqual(all)
    expect((await host.sh('parbake-agent status')).stdout).toMatch(/^ready /)
  }

  const tried = fullOnly ? faults : faults.filter(({ slow }) => slow !== true)

  test.each(tried)('stays at its last good version: $name', async (fault) => {
    const good = `v${version}`
    await host.publish(nextVersion())
    const end = await fault.cause(host)
    const { exitCode, stderr, seconds } = await converge()
    const status = (await host.sh('parbake-agent status')).stdout
    const kept = await doneOf(good)
    const early = await doneOf(`v${version}`)
    await end()
    expect({ exitCode, kept, early }).toEqual({ exitCode: 1, kept: all, early: [] })
    // Told by mail from cron and by the status.
    expect(stderr).toMatch(fault.says)
    expect(status).toMatch(/^failed /)
    expect(status).toMatch(fault.says)
    expect(seconds).toBeLessThan(fault.within ?? 60)
    await expectNowWell()
    outcomes.push(`  ${fault.name}, in ${seconds.toFixed(1)} s: ${/^error (.*)/m.exec(status)?.[1]}`)
  })

  test.runIf(fullOnly).each(faults)('tries again where nothing has ever converged: $name', async (fault) => {
    await host.forget()
    await host.publish(nextVersion())
    const end = await fault.cause(host)
    const { exitCode, stderr, seconds } = await converge()
    const log = (await host.sh('tail -n 30 /var/log/parbake.log')).stdout
    const early = await doneOf(`v${version}`)
    await end()
    expect(exitCode).not.toBe(0)
    expect(early).toEqual([])
    // Stage-0 mails it; an agent that it has just fetched converges as at boot, and tells it in its log.
    expect(`${stderr}\n${log}`).toMatch(fault.says)
    // The agent comes by another way than the bundle, and may meet the fault after it.
    expect(seconds).toBeLessThan(2 * (fault.within ?? 60))
    await expectNowWell()
    outcomes.push(`  at the first converge, ${fault.name}, in ${seconds.toFixed(1)} s`)
  })

  test('goes on where an agent without flock died with its lock', async () => {
    await host.do('sed -i s/flock/file/ /run/parbake/tools')
    const unit = await host.makeCronUnit()
    await host.publish(nextVersion())
    expect(await host.killed(unit, 400)).toBe(true)
    expect((await host.sh('cat /run/parbake/lock.pid')).stdout).toMatch(/^\d+$/)
    await expectNowWell()
    const { stdout } = await host.sh('tail -n 20 /var/log/parbake.log')
    expect(stdout).toMatch(/removing the lock of process \d+, which is gone/)
    await host.do('sed -i s/file/flock/ /run/parbake/tools')
    outcomes.push('  a lock left by a dead process: removed')
  })

  /** The steps, the second of which must be let go on before it ends, and has left a mark when it began. */
  const heldSteps = () =>
    usualSteps(`v${version}`).map((step) =>
      step.name === 'two'
        ? { ...step, script: `touch /srv/begun\nwhile [ ! -e /srv/go ]; do sleep 0.05; done\n${step.script}` }
        : step,
    )

  /** Publishes steps, one of which is held, and hands back when that one has begun. */
  async function holdStep(): Promise<void> {
    await host.do('rm -f /srv/begun /srv/go')
    nextVersion()
    await host.publish(`v${version}`, { steps: heldSteps() })
    await host.do(`systemctl start ${await host.makeCronUnit()}`)
    await until('the step begins', () => host.hasFile('/srv/begun'))
  }

  test('goes on after a reboot in the middle of a step', async () => {
    await holdStep()
    await host.do('systemctl --no-block reboot')
    await host.rebooted()
    expect(await doneOf(`v${version}`)).not.toContain('two')
    await host.do('touch /srv/go')
    await host.converged()
    await expectNowWell()
    outcomes.push('  a reboot in the middle of a step: the step runs again')
  })

  test.runIf(fullOnly)('goes on after it was powered off in the middle of a step, as warm pools do', async () => {
    await holdStep()
    await host.do('systemctl --no-block poweroff')
    await host.poweredOff()
    await host.boot()
    expect(await doneOf(`v${version}`)).not.toContain('two')
    await host.do('touch /srv/go')
    await host.converged()
    await expectNowWell()
    outcomes.push('  a host powered off in the middle of a step: the step runs again')
  })

  test('goes on behind a step that asks for a reboot', async () => {
    nextVersion()
    const steps = usualSteps(`v${version}`).map((step) => (step.name === 'three' ? { ...step, reboot: true } : step))
    await host.publish(`v${version}`, { steps })
    await host.do(`systemctl start ${await host.makeCronUnit()}`)
    await host.rebooted()
    await host.converged()
    const { stdout } = await host.sh('parbake-agent status')
    expect(stdout).toMatch(/^ready .* ran=1 stamped=3 /)
    await expectNowWell()
    outcomes.push('  a step that asks for a reboot: the next one runs after it')
  })
})
