import type { AgentConf } from '../../src/user-data/agent-conf.ts'
import { renderUserData, type UserData, type UserDataFormat } from '../../src/user-data/render.ts'
import type { TargetName } from '../../src/user-data/targets.ts'

export const conf: AgentConf = {
  recipe: 'web',
  channel: 'stable',
  store: 'https://s3.example.org/bucket',
  region: 'us-east-1',
  credentials: { auth: 'static', accessKey: 'AKIDEXAMPLE', secretKey: 'an-example-of-a-secret-key' },
  trustedKeys: ['MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
  purpose: 'fleet',
  everyMinutes: 15,
}

/** Holds what shells, HCL and YAML would each take for something else. */
export const stage0 = `#!/bin/sh\necho "\${x} %{if} \\n $(true) 'q' \`b\`" # ü\n`

/** A small document, the same as long as its makers are. */
export function sampleUserData(target: TargetName, format: UserDataFormat, changes: Partial<AgentConf> = {}): UserData {
  return renderUserData({ target, stage0, conf: { ...conf, ...changes }, format })
}
