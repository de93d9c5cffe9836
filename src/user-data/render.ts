import { gzipReproducible } from '../cloud-config/gzip.ts'
import { cloudConfig, type CloudConfigBuilder } from '../cloud-config/index.ts'
import { UserError } from '../errors.ts'
import { renderAgentConf, type AgentConf } from './agent-conf.ts'
import { userDataTargets, type TargetName } from './targets.ts'

/** Where user-data puts stage-0 and the settings on a host; stage-0 fetches the agent. */
export const stage0Path = '/usr/local/lib/parbake/stage0'
export const agentConfPath = '/etc/parbake/agent.conf'

/** `text`: readable, stage-0 in it compressed. `gzip`: compressed as a whole, which cloud-init takes everywhere. */
export type UserDataFormat = 'text' | 'gzip'

export interface UserDataInput {
  readonly target: TargetName
  /** The script that fetches the agent, as `loadStage0` gives it. */
  readonly stage0: string
  readonly conf: AgentConf
  /** Absent: text where it fits with room to spare, else gzip. */
  readonly format?: UserDataFormat
}

/** What a part of the document costs. */
export interface UserDataPart {
  readonly name: string
  readonly bytes: number
}

export interface UserData {
  readonly format: UserDataFormat
  /** The cloud-config to read; what `bytes` comes down to. */
  readonly text: string
  /** What to hand over. */
  readonly bytes: Buffer
  /** Of `bytes`. */
  readonly sizeBytes: number
  readonly limitBytes: number
  /** Where the bytes go; they add up to `sizeBytes`. */
  readonly parts: readonly UserDataPart[]
}

/** A document that is left to us to format keeps this much below the limit, so that the next key or URL still fits. */
const spareBytes = 1500

/** A longer agent.conf travels compressed; a shorter one stays readable for whoever looks at the document. */
const readableConfBytes = 1024

/**
 * The one document that makes a fresh machine provision itself: stage-0, its settings, the command that starts it. Pure.
 * Throws a UserError (exit code 2, code `user-data-too-large`) that lists the parts where the target does not take as much.
 */
export function renderUserData(input: UserDataInput): UserData {
  const { limitBytes, title } = userDataTargets[input.target]
  const formats: readonly UserDataFormat[] = input.format === undefined ? ['text', 'gzip'] : [input.format]
  const candidates = formats.map((format) => ({ ...renderFormat(input, format), limitBytes }))
  const fitting =
    candidates.find((candidate) => candidate.sizeBytes <= limitBytes - spareBytes) ??
    candidates.findLast((candidate) => candidate.sizeBytes <= limitBytes)
  if (fitting !== undefined) return fitting
  const { sizeBytes, parts } = candidates.reduce((least, other) => (other.sizeBytes < least.sizeBytes ? other : least))
  const account = parts.map((part) => `${part.name} ${part.bytes}`).join(', ')
  throw new UserError(
    `the user-data for ${title} would have ${sizeBytes} bytes and may have ${limitBytes} (${account})`,
    {
      hint: tooLargeHint(input),
      exitCode: 2,
      code: 'user-data-too-large',
    },
  )
}

function renderFormat(input: UserDataInput, format: UserDataFormat): Omit<UserData, 'limitBytes'> {
  const gzip = format === 'gzip'
  const pack = (config: CloudConfigBuilder) => (gzip ? gzipReproducible(config.render()) : Buffer.from(config.render()))
  const confText = renderAgentConf(input.conf)
  const frame = cloudConfig().runCommand([stage0Path, 'boot'])
  const withConf = frame.writeFile({
    path: agentConfPath,
    content: confText,
    permissions: '0600',
    encoding: !gzip && confText.length > readableConfBytes ? 'gzip' : 'text',
  })
  const whole = withConf.writeFile({
    path: stage0Path,
    content: input.stage0,
    permissions: '0755',
    // What is compressed twice is larger than what is compressed once.
    encoding: gzip ? 'text' : 'gzip',
  })
  const bytes = pack(whole)
  const frameBytes = pack(frame).length
  const confBytes = pack(withConf).length - frameBytes
  return {
    format,
    text: whole.render(),
    bytes,
    sizeBytes: bytes.length,
    parts: [
      { name: 'stage-0', bytes: bytes.length - confBytes - frameBytes },
      { name: 'agent.conf', bytes: confBytes },
      { name: 'cloud-config', bytes: frameBytes },
    ],
  }
}

function tooLargeHint(input: UserDataInput): string {
  if (input.format === 'text') return 'let it be compressed as a whole: cloud-init takes the format gzip as it is'
  return input.conf.credentials.auth === 'presigned'
    ? `presigned URLs are long: use --auth instance-role, static or anonymous, or a shorter store prefix`
    : `shorten what is in agent.conf: ${input.conf.trustedKeys.length} trusted keys, the store's URL`
}
