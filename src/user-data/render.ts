import { gzipReproducible } from '../cloud-config/gzip.ts'
import { cloudConfig, type CloudConfigBuilder } from '../cloud-config/index.ts'
import { UserError } from '../errors.ts'
import { renderAgentConf, shownSettings, type AgentConf } from './agent-conf.ts'
import { countedBytes, userDataTargets, type TargetName, type UserDataTarget } from './targets.ts'

/** Where user-data puts stage-0 and the settings on a host; stage-0 fetches the agent. */
export const stage0Path = '/usr/local/lib/parbake/stage0'
export const agentConfPath = '/etc/parbake/agent.conf'

/** `text`: readable, stage-0 in it compressed. `gzip`: compressed as a whole, which cloud-init unpacks by itself. */
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
  readonly target: TargetName
  readonly format: UserDataFormat
  /** The cloud-config to read; what `bytes` comes down to. */
  readonly text: string
  /** The document as cloud-init is to get it. */
  readonly bytes: Buffer
  /** How the document is written where the target takes a text: `base64` for a compressed one. */
  readonly encoding: 'none' | 'base64'
  /** Of the document, as the target counts it. */
  readonly sizeBytes: number
  /** Infinity where the target has no limit. */
  readonly limitBytes: number
  /** Where the bytes go; they add up to `sizeBytes`. */
  readonly parts: readonly UserDataPart[]
  /** What agent.conf says, secrets left out. */
  readonly settings: readonly (readonly [name: string, shown: string])[]
  /** Whether it holds keys or URLs that give access to the store. */
  readonly secret: boolean
}

/**
 * Cloud-init notes that it has done something before it does it, and does not do it again: a host that is cut off just then
 * would never provision itself. At the next boot this makes cloud-init forget what it did not finish, until the host goes on
 * by itself. One that was uninstalled has no stage-0, and is left alone.
 */
const resume = [
  '(cd /var/lib/cloud/instance/sem || exit 0',
  '[ -e config_scripts?user ] || rm -f config_write?files config_runcmd',
  `[ ! -e ${stage0Path} ] || ${[
    '/usr/local/sbin/parbake-agent',
    '/etc/cron.d/parbake',
    '/etc/systemd/system/parbake.timer',
  ]
    .map((path) => `[ -e ${path} ] || `)
    .join('')}rm -f config_scripts?user)`,
].join('; ')

/** A document that is left to us to format keeps this much below the limit, so that the next key or URL still fits. */
const spareBytes = 1500

/** A longer agent.conf travels compressed; a shorter one stays readable for whoever looks at the document. */
const readableConfBytes = 1024

/**
 * The one document that makes a fresh machine provision itself: stage-0, its settings, the command that starts it. Pure.
 * Throws a UserError (exit code 2, code `user-data-too-large`) that lists the parts where the target does not take as much.
 */
export function renderUserData(input: UserDataInput): UserData {
  const target: UserDataTarget = userDataTargets[input.target]
  const { limitBytes, title } = target
  const candidates = formatsFor(input, target).map((format) => renderFormat(input, format))
  const fitting =
    candidates.find((candidate) => candidate.sizeBytes <= limitBytes - spareBytes) ??
    candidates.findLast((candidate) => candidate.sizeBytes <= limitBytes)
  if (fitting !== undefined) return fitting
  const { sizeBytes, parts } = candidates.reduce((least, other) => (other.sizeBytes < least.sizeBytes ? other : least))
  const account = parts.map((part) => `${part.name} ${part.bytes}`).join(', ')
  const unit = target.counts === 'base64' ? 'bytes of base64' : 'bytes'
  throw new UserError(
    `the user-data for ${title} would have ${sizeBytes} ${unit} and may have ${limitBytes} (${account})`,
    {
      hint: tooLargeHint(input),
      exitCode: 2,
      code: 'user-data-too-large',
    },
  )
}

function formatsFor(input: UserDataInput, { gzip, title }: UserDataTarget): readonly UserDataFormat[] {
  if (input.format === 'gzip' && gzip === 'never') {
    throw new UserError(`${title} takes user-data as text only, so it cannot be compressed as a whole`, {
      hint: 'leave out --format, or give text',
      exitCode: 2,
    })
  }
  if (input.format !== undefined) return [input.format]
  return gzip === 'never' ? ['text'] : ['text', 'gzip']
}

function renderFormat(input: UserDataInput, format: UserDataFormat): UserData {
  const gzip = format === 'gzip'
  const target: UserDataTarget = userDataTargets[input.target]
  const pack = (config: CloudConfigBuilder) => (gzip ? gzipReproducible(config.render()) : Buffer.from(config.render()))
  const counted = (config: CloudConfigBuilder) => countedBytes(input.target, gzip, pack(config).length)
  const confText = renderAgentConf(input.conf)
  const frame = cloudConfig().bootCommand(resume).runCommand([stage0Path, 'boot'])
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
  const sizeBytes = counted(whole)
  const frameBytes = counted(frame)
  const confBytes = counted(withConf) - frameBytes
  return {
    target: input.target,
    format,
    text: whole.render(),
    bytes: pack(whole),
    encoding: gzip && target.gzip === 'base64' ? 'base64' : 'none',
    sizeBytes,
    limitBytes: target.limitBytes,
    parts: [
      { name: 'stage-0', bytes: sizeBytes - confBytes - frameBytes },
      { name: 'agent.conf', bytes: confBytes },
      { name: 'cloud-config', bytes: frameBytes },
    ],
    settings: shownSettings(input.conf),
    secret: input.conf.credentials.auth === 'static' || input.conf.credentials.auth === 'presigned',
  }
}

/**
 * The agent and the recipe come from the store already. What is left is what makes a host able to fetch them and to tell
 * whether they may be trusted; in the store it would be out of reach, or would be trusted for where it lies.
 */
function tooLargeHint(input: UserDataInput): string {
  const { gzip }: UserDataTarget = userDataTargets[input.target]
  if (input.format === 'text' && gzip !== 'never') return 'leave out --format, so that it may be compressed as a whole'
  return input.conf.credentials.auth === 'presigned'
    ? `presigned URLs are long: use --auth instance-role, static or anonymous, or a shorter store prefix`
    : `all that can come from the store does; shorten what is in agent.conf: ${input.conf.trustedKeys.length} trusted keys, the store's URL`
}
