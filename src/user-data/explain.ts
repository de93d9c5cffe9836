import { outputsOf } from './platforms.ts'
import { agentConfPath, stage0Path, type UserData } from './render.ts'
import { userDataTargets, type UserDataTarget } from './targets.ts'

const contents: Readonly<Record<string, string>> = {
  'stage-0': `${stage0Path}: fetches the agent, checks it and starts it`,
  'agent.conf': `${agentConfPath}: the settings below`,
  'cloud-config': 'the command that starts stage-0, once per instance, and what holds the files together',
}

const units: Readonly<Record<UserDataTarget['counts'], string>> = {
  document: 'the document, before the transport encodes it',
  base64: 'the document in base64',
  value: 'what is handed over',
}

/** What is in a document, what it costs and how it travels, for people. */
export function explainUserData(recipe: string, userData: UserData): string {
  const { format, sizeBytes, limitBytes, parts, settings } = userData
  const client = settings.find(([name]) => name === 'client')?.[1]
  const target: UserDataTarget = userDataTargets[userData.target]
  const share = Number.isFinite(limitBytes) ? ` of ${limitBytes} (${Math.round((100 * sizeBytes) / limitBytes)} %)` : ''
  const how = { text: 'as text, stage-0 in it compressed', gzip: 'compressed as a whole' }[format]
  return [
    `User-data of '${recipe}' for ${target.title}: ${sizeBytes} bytes${share}, ${how}${userData.encoding === 'base64' ? ', in base64' : ''}`,
    '',
    ...columns(parts.map(({ name, bytes }) => [name, String(bytes).padStart(6), contents[name] ?? ''])),
    '',
    ...columns([
      ['counted', units[target.counts]],
      ['limit', target.source],
      ['secrets', userData.secret ? 'in agent.conf: every process on the host can read user-data' : 'none'],
      ['fetches', client === undefined ? 'by itself' : `by ${client}, which stage-0 installs where it is missing`],
      ['forms', outputsOf(userData.target).join(', ')],
    ]),
    '',
    ...columns(settings),
    '',
  ].join('\n')
}

function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row.map((cell, column) => (column < row.length - 1 ? cell.padEnd(widths[column] ?? 0) : cell)).join('  '),
  )
}
