import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { prologue } from './shell.ts'
import { defineStepType } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('service').meta({ description: 'Enables, starts, restarts or stops a service.' }),
    ...commonShape,
    service: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9:_.@\\-]*$/, 'must be the name of a service, such as nginx')
      .meta({ description: 'Name of the service, as systemctl or rc-service take it.' }),
    state: z.enum(['started', 'restarted', 'reloaded', 'stopped']).optional().meta({
      description:
        'started: runs; restarted: was started afresh; reloaded: has read its configuration again; stopped. As the step runs again when something it needs has changed, so does a restart.',
    }),
    enabled: z.boolean().optional().meta({
      description: 'Whether it starts at boot. Default: true, but false for a state of stopped.',
    }),
  })
  .meta({ description: 'Enables a service and starts, restarts, reloads or stops it, by systemd or OpenRC.' })

/** Enables and starts a service. */
export const service = defineStepType({
  name: 'service',
  summary: 'a service (service): enabled or not, started, restarted, reloaded or stopped (state)',
  schema,
  check: async ({ state, enabled }, context) => {
    if (state === undefined && enabled === undefined) context.report([], "must have 'state' or 'enabled'")
  },
  render: async (spec) => ({ script: renderService(spec), files: [] }),
  effects: ({ service: name }) => ({ usesUnits: [name.includes('.') ? name : `${name}.service`] }),
  // What an image's hosts find after their boot is what is enabled, no more and no less.
  runtimeOnly: (spec) =>
    spec.state === undefined || (spec.state === 'stopped') !== isEnabled(spec)
      ? undefined
      : `an enabled service of an image runs after every boot and no other does, which state ${spec.state} contradicts`,
})

function isEnabled({
  enabled,
  state,
}: {
  readonly enabled?: boolean | undefined
  readonly state?: string | undefined
}) {
  return enabled ?? state !== 'stopped'
}

const acts = {
  started: { systemd: 'systemctl start "$service"', openrc: 'rc-service "$service" start' },
  restarted: { systemd: 'systemctl restart "$service"', openrc: 'rc-service "$service" restart' },
  reloaded: {
    systemd: 'systemctl reload-or-restart "$service"',
    openrc: 'rc-service "$service" reload || rc-service "$service" restart',
  },
  stopped: { systemd: 'systemctl stop "$service"', openrc: 'rc-service "$service" stop' },
} as const

/** A bake only enables or disables: what runs belongs to a host. */
function renderService(spec: z.infer<typeof schema>): string {
  const { service: name, state } = spec
  const enabled = isEnabled(spec)
  const act = (lines: string) =>
    state === undefined ? '' : `\n  if [ "\${PARBAKE_PHASE:-runtime}" = bake ]; then return; fi\n  ${lines}`
  const { systemd, openrc } = acts[state ?? 'started']
  const watched = `if ! ${systemd} || systemctl is-failed --quiet "$service"; then
    systemctl status --no-pager --full --lines 20 "$service" >&2 || :
    fail "$service does not run"
  fi`
  return `${prologue}service=${shQuote(name)}
by_systemd() {
  systemctl daemon-reload
  systemctl cat "$service" >/dev/null 2>&1 || fail "there is no service $service: make it in a step that this one needs"
  systemctl ${enabled ? 'enable' : 'disable'} --quiet "$service"${act(state === 'stopped' ? systemd : watched)}
}
by_openrc() {
  [ -e "/etc/init.d/$service" ] || fail "there is no service $service: make it in a step that this one needs"
  ${
    enabled
      ? 'rc-update --quiet add "$service" default'
      : 'if [ -e "/etc/runlevels/default/$service" ]; then rc-update --quiet del "$service" default; fi'
  }${act(openrc)}
}
if [ -d /run/systemd/system ] || { have systemctl && ! have rc-service; }; then
  by_systemd
elif have rc-service; then
  by_openrc
else
  fail "this host has neither systemd nor OpenRC to care for $service"
fi
`
}
