import { describe, expect, test } from 'vitest'
import { fullOnly } from '../vm/support.ts'
import { canScratch, runInScratch } from './scratch.ts'
import { renderType } from './support.ts'

/** The real OpenRC, which Debian has as a package. */

const prepare = `
export DEBIAN_FRONTEND=noninteractive
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said >&2; exit 1; }; }
quietly apt-get update
quietly apt-get install -y --no-install-recommends openrc
mkdir -p /run/openrc; touch /run/openrc/softlevel
cat >/etc/init.d/pulse <<'END'
#!/sbin/openrc-run
command=/usr/local/bin/pulse
command_args=1000
command_background=yes
pidfile=/run/pulse.pid
END
chmod +x /etc/init.d/pulse; cp /bin/sleep /usr/local/bin/pulse
`

describe.skipIf(!fullOnly || !canScratch)('service', () => {
  test('by the real OpenRC', async () => {
    const step = async (spec: Readonly<Record<string, unknown>>) => renderType('service', { service: 'pulse', ...spec })
    // The process is there a moment after its start has ended.
    const look = `for try in 1 2 3 4 5 6 7 8 9; do pid=$(pidof pulse || :); [ -z "$pid" ] || break; /bin/sleep 0.3; done
echo "runs $pid"; ls /etc/runlevels/default | grep pulse || :`
    const outcomes = await runInScratch([
      prepare,
      await step({ state: 'started' }),
      look,
      await step({ state: 'started' }),
      look,
      await step({ state: 'restarted' }),
      look,
      // It cannot reload, so it restarts.
      await step({ state: 'reloaded' }),
      look,
      await step({ state: 'stopped' }),
      await step({ state: 'stopped' }),
      look,
    ])
    expect(outcomes.map(({ exitCode }) => exitCode)).toEqual(outcomes.map(() => 0))
    const [started, again, restarted, reloaded, stopped] = [2, 4, 6, 8, 11].map((index) => outcomes[index]?.stdout)
    expect(started).toMatch(/^runs \d+\npulse$/)
    expect(again).toBe(started)
    expect(restarted).toMatch(/^runs \d+\npulse$/)
    expect(new Set([started, restarted, reloaded]).size).toBe(3)
    expect(stopped).toBe('runs')
  })
})
