import type { SourceLocation } from '../errors.ts'
import { suggestion } from '../util/nearest.ts'
import type { AllowedFinding, Finding, RuleText } from './model.ts'
import { allowRules, isShellcheckId, ruleTexts } from './rules/registry.ts'

/** A comment `# parbake: allow ID reason`. */
export interface AllowComment {
  readonly id: string
  /** Empty where none is given. */
  readonly reason: string
  readonly location: SourceLocation
  /** The line that it speaks of: its own, or where nothing else stands there, the next that is no such comment. */
  readonly line: number
}

const comment = /(?:^|\s)#\s*parbake:\s*allow(?:\s+(\S+))?(?:\s+(.*?))?\s*$/

/** All such comments of a text. `file` is as it is shown. */
export function allowComments(file: string, text: string): readonly AllowComment[] {
  if (!text.includes('parbake:')) return []
  const lines = text.split('\n')
  const found = lines.map((line) => comment.exec(line))
  return found.flatMap((match, index) => {
    if (match === null) return []
    const sourceLine = lines[index] ?? ''
    let line = index
    if (sourceLine.trimStart().startsWith('#')) {
      line += 1
      while (found[line] !== null && found[line] !== undefined && lines[line]?.trimStart().startsWith('#') === true)
        line += 1
    }
    return [
      {
        id: match[1] ?? '',
        reason: match[2] ?? '',
        location: { file, line: index + 1, column: sourceLine.indexOf('#', match.index) + 1, sourceLine },
        line: line + 1,
      },
    ]
  })
}

export interface Sifted {
  readonly findings: readonly Finding[]
  readonly allowed: readonly AllowedFinding[]
}

/**
 * Takes out what comments and the configuration allow, and adds what is wrong with the comments. `isJudged` says of an id
 * whether it was looked for at all, so that an `allow` without a finding is one too many.
 */
export function sift(
  findings: readonly Finding[],
  comments: readonly AllowComment[],
  configured: Readonly<Record<string, string>>,
  isJudged: (id: string) => boolean,
): Sifted {
  const used = new Set<AllowComment>()
  const kept: Finding[] = []
  const allowed: AllowedFinding[] = []
  for (const finding of findings) {
    const match = comments.find((candidate) => speaksOf(candidate, finding))
    const reason = match?.reason ?? reasonOf(configured, finding.id)
    if (match !== undefined) used.add(match)
    if (reason === undefined) kept.push(finding)
    else allowed.push({ ...finding, reason })
  }
  for (const one of comments) {
    const known = isKnown(one.id)
    if (!used.has(one) && (!known || isJudged(one.id))) kept.push(unusedFinding(one, known))
    else if (one.reason === '')
      kept.push(findingOf(allowRules['allow-no-reason'], `'${one.id}' is allowed without a reason`, one))
  }
  // What is wrong with comments can be allowed for the whole project only.
  const isAllowed = ({ id }: Finding) => id.startsWith('allow-') && reasonOf(configured, id) !== undefined
  return { findings: kept.filter((finding) => !isAllowed(finding)), allowed }
}

function reasonOf(configured: Readonly<Record<string, string>>, id: string): string | undefined {
  const name = namesOf(id).find((candidate) => Object.hasOwn(configured, candidate))
  return name === undefined ? undefined : configured[name]
}

/** What may be said for an id: itself, and for those of shellcheck `shellcheck`. */
export function namesOf(id: string): readonly string[] {
  return isShellcheckId(id) ? [id, 'shellcheck'] : [id]
}

function speaksOf({ id, line, location }: AllowComment, finding: Finding): boolean {
  return (
    namesOf(finding.id).includes(id) &&
    location.file === finding.location.file &&
    (line === finding.location.line || line === finding.firstLine)
  )
}

/** True for what `allow`, `--only` and `--except` may name. */
export function isKnown(id: string): boolean {
  return isShellcheckId(id) || ruleTexts.some((rule) => rule.id === id)
}

/** What to say of an id that there is none of. */
export function unknownHint(id: string): string {
  return (
    suggestion(
      id,
      ruleTexts.map((rule) => rule.id),
    ) ?? ''
  )
}

function unusedFinding(one: AllowComment, known: boolean): Finding {
  const message = known
    ? `'${one.id}' is not found here, so there is nothing to allow`
    : `there is no finding '${one.id}'`
  const finding = findingOf(allowRules['allow-unused'], message, one)
  return known ? finding : { ...finding, fix: unknownHint(one.id) }
}

function findingOf({ id, severity, fix }: RuleText, message: string, { location }: AllowComment): Finding {
  return { id, severity, message, location, fix }
}
