import { describe, expect, it } from 'vitest'
import { renderType } from './support.ts'
import { canScratch, runInScratch, shells, type Shell } from './scratch.ts'

/** Commands that note how they were called; systemctl cat knows nginx alone. */
const fakes = (names: readonly string[], more = '') =>
  [
    'mkdir /fake',
    ...names.map(
      (name) => `cat >/fake/${name} <<'END'
#!/bin/sh
echo ${name} "$@" >>/calls
case "${name} $*" in
'systemctl cat nginx') exit 0 ;;
'systemctl cat '* | *is-failed*) exit 1 ;;
'rc-service nginx reload') exit 1 ;;
esac
END
chmod +x /fake/${name}`,
    ),
    more,
  ].join('\n')

async function calls(
  spec: Readonly<Record<string, unknown>>,
  before: string,
  phase = 'runtime',
  shell: Shell = 'dash',
) {
  const [, acted, shown] = await runInScratch(
    [before, await renderType('service', { service: 'nginx', ...spec }), 'cat /calls 2>/dev/null || :'],
    { shell, env: { PATH: '/fake:/bb', PARBAKE_PHASE: phase } },
  )
  return { exitCode: acted?.exitCode, stderr: acted?.stderr, calls: shown?.stdout.split('\n') }
}

const systemd = fakes(['systemctl'], 'mkdir -p /run/systemd/system')
const openrc = fakes(['rc-service', 'rc-update'], 'mkdir -p /etc/init.d; >/etc/init.d/nginx')
const common = ['systemctl daemon-reload', 'systemctl cat nginx']

describe.skipIf(!canScratch)('service', () => {
  it.each(shells)('enables and restarts by systemd under %s', async (shell) => {
    expect(await calls({ state: 'restarted' }, systemd, 'runtime', shell)).toEqual({
      ...{ exitCode: 0, stderr: '' },
      calls: [
        ...common,
        'systemctl enable --quiet nginx',
        'systemctl restart nginx',
        'systemctl is-failed --quiet nginx',
      ],
    })
  })

  it.each([
    [
      { state: 'reloaded', enabled: false },
      ['disable --quiet nginx', 'reload-or-restart nginx', 'is-failed --quiet nginx'],
    ],
    [{ state: 'stopped' }, ['disable --quiet nginx', 'stop nginx']],
    [{ enabled: true }, ['enable --quiet nginx']],
  ])('%j by systemd', async (spec, lines) => {
    const expected = [...common, ...lines.map((line) => `systemctl ${line}`)]
    expect(await calls(spec, systemd)).toEqual({ exitCode: 0, stderr: '', calls: expected })
  })

  it.each([
    [{ state: 'started' }, ['rc-update --quiet add nginx default', 'rc-service nginx start']],
    [
      { state: 'reloaded' },
      ['rc-update --quiet add nginx default', 'rc-service nginx reload', 'rc-service nginx restart'],
    ],
    [{ state: 'stopped' }, ['rc-service nginx stop']],
  ])('%j by OpenRC', async (spec, lines) => {
    expect(await calls(spec, openrc)).toEqual({ exitCode: 0, stderr: '', calls: lines })
  })

  it.each([
    [systemd, [...common, 'systemctl enable --quiet nginx']],
    [openrc, ['rc-update --quiet add nginx default']],
  ])('only enables in a bake', async (before, lines) => {
    expect(await calls({ state: 'restarted' }, before, 'bake')).toEqual({ exitCode: 0, stderr: '', calls: lines })
  })

  it.each([
    [systemd, { service: 'gone' }, 'there is no service gone: make it in a step that this one needs'],
    [openrc, { service: 'gone' }, 'there is no service gone: make it in a step that this one needs'],
    ['mkdir /fake', {}, 'this host has neither systemd nor OpenRC to care for nginx'],
    [systemd.replace('*is-failed*) exit 1', '*is-failed*) exit 0'), { state: 'started' }, 'nginx does not run'],
  ])('says what is wrong', async (before, spec, message) => {
    const { exitCode, stderr } = await calls({ state: 'restarted', ...spec }, before)
    expect([exitCode, stderr]).toEqual([1, `parbake: ${message}`])
  })
})
