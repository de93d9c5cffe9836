import type { Statement } from './scan.ts'

/** What a command leaves behind in its shell for those after it. */
export interface Effects {
  /** It only declares: repeating it where it is needed changes nothing. */
  readonly declares: boolean
  /** Whatever comes after it must stay in the same shell. */
  readonly binds: boolean
  readonly changesFolder: boolean
  /** Variables that it sets to what a repetition might not find again. */
  readonly sets: readonly string[]
  /** Variables and functions that it declares. */
  readonly names: readonly string[]
  /** Later commands and programs all see it: options of the shell, exported variables. */
  readonly forAll: boolean
}

const nothing: Effects = { declares: false, binds: false, changesFolder: false, sets: [], names: [], forAll: false }

/** Programs that say the same whenever they are asked on a host, and do nothing else. */
const asking = String.raw`(?:hostname|uname|nproc|arch|lsb_release|dpkg\s+--print-architecture|ec2-?metadata|cloud-init\s+query|curl(?=[^)]*169\.254\.169\.254)(?![^)]*\s(?:-[a-zA-Z]*[oO]|--output|--remote-name)\b))\b`
const harmless = String.raw`(?![^)]*\b(?:tee|sh|bash|xargs)\b)(?:2>\s?/dev/null|[^()` + '`' + String.raw`;&<>\n])*`
const answer = String.raw`\$\(\s*${asking}${harmless}\)`
const quoted = String.raw`"(?:[^"\\\n$` + '`' + String.raw`]|\\.|\$\{?[A-Za-z_]\w*\}?|${answer})*"`
const bare = String.raw`[^\s'"$` + '`' + String.raw`;&|<>()\\]|\$\{?[A-Za-z_]\w*\}?|${answer}`
const value = String.raw`(?:'[^'\n]*'|${quoted}|${bare})*`
const assignment = String.raw`[A-Za-z_]\w*=${value}`
const declaration = new RegExp(
  String.raw`^\s*(?:(?:export|readonly)\s+)?${assignment}(?:\s+${assignment})*\s*(?:;\s*export(?:\s+[A-Za-z_]\w*)+\s*)?(?:#.*)?$`,
)
const exported = /^\s*export(?:\s+[A-Za-z_]\w*)+\s*(?:#.*)?$/
const option =
  /^\s*(?:set\s+[-+][b-zA-Z]+(?:\s+(?:[-+][b-zA-Z]+|pipefail|errexit|nounset|xtrace))*|shopt\s+-[su]\s+[\w ]+|umask\s+[0-7]+|ulimit\s+-\w\s+\w+)\s*(?:#.*)?$/
const knownFile = /^\s*(?:\.|source)\s+\/etc\/(?:os-release|lsb-release|environment)\s*(?:#.*)?$/

/** Where a command's first word may stand. */
const start = String.raw`(?:^|[;&|({]|\bthen\b|\bdo\b|\belse\b|!|\n)\s*`
const binding = new RegExp(
  String.raw`${start}(?:trap|exec|eval|shift|set|alias|\.|source|wait|read|mapfile|readarray|getopts|let|declare|typeset|unset|pushd|popd|coproc|disown|return|enable|hash)(?=\s|$)`,
)
const exporting = new RegExp(String.raw`${start}(?:export|readonly)(?=\s|$)`)
const leaving = new RegExp(String.raw`${start}exit\b(?!\s+[1-9]\d*\b)`)
const folder = new RegExp(String.raw`${start}(?:cd|chdir)(?=\s|$)`)

/** Names that one can read but that have no lasting value. */
const fleeting =
  /\$(?:[0-9@*#?!$_-]|\{[0-9@*#?!]|(?:\{)?(?:RANDOM|SECONDS|PWD|OLDPWD|LINENO|BASH_\w+|PPID|REPLY|PIPESTATUS)\b)/

/** What each of these commands leaves behind. */
export function effectsOf(statements: readonly Statement[]): readonly Effects[] {
  const own = statements.map(ofStatement)
  const functions = new Map<string, Effects>()
  for (const { defines, code } of statements) {
    if (defines !== undefined) functions.set(defines, ofBody(code.replace(/^[^({]*(?:\(\))?/, '')))
  }
  // Whoever calls a function does what it does, however deep.
  for (let round = 0; round < functions.size; round += 1) {
    for (const { defines, text } of statements) {
      const effects = defines === undefined ? undefined : functions.get(defines)
      if (defines !== undefined && effects !== undefined)
        functions.set(defines, withCalls(effects, text, functions, defines))
    }
  }
  const all = statements.map((statement, index) =>
    statement.defines === undefined
      ? withCalls(own[index] ?? nothing, statement.text, functions)
      : { ...nothing, declares: true, names: [statement.defines] },
  )
  return withoutUnsure(statements, all)
}

/** A declaration that uses what a repetition might not find again cannot be repeated either. */
function withoutUnsure(statements: readonly Statement[], effects: readonly Effects[]): readonly Effects[] {
  const unsure = new Set(effects.flatMap(({ declares, sets }) => (declares ? [] : sets)))
  const next = effects.map((effect, index): Effects => {
    const statement = statements[index]
    if (!effect.declares || statement === undefined || statement.defines !== undefined) return effect
    if (![...unsure].some((name) => mentions(statement.text, name))) return effect
    return { ...nothing, sets: effect.names, binds: effect.forAll }
  })
  const isSettled = next.every(({ declares }, index) => declares === effects[index]?.declares)
  return isSettled ? next : withoutUnsure(statements, next)
}

function withCalls(effects: Effects, text: string, functions: ReadonlyMap<string, Effects>, self?: string): Effects {
  let all = effects
  for (const [name, called] of functions) {
    if (name === self || !mentions(text, name)) continue
    all = {
      ...all,
      binds: all.binds || called.binds,
      changesFolder: all.changesFolder || called.changesFolder,
      sets: [...new Set([...all.sets, ...called.sets])],
    }
  }
  return all
}

function ofStatement({ text, code, defines }: Statement): Effects {
  if (defines !== undefined) return { ...nothing, declares: true, names: [defines] }
  if (option.test(text) || knownFile.test(text) || exported.test(text)) {
    return { ...nothing, declares: true, forAll: true }
  }
  if (declaration.test(text) && !fleeting.test(text)) {
    const names = assigned(text)
    return { ...nothing, declares: true, forAll: /\bexport\s/.test(text) || names.some(isKnownToAll), names }
  }
  return ofBody(code)
}

/** Variables that programs or the shell itself heed without anybody naming them. */
function isKnownToAll(name: string): boolean {
  return /^(?:IFS|PATH|HOME|SHELL|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TERM|TMPDIR|CDPATH|ENV|BASH_ENV|PS4|POSIXLY_CORRECT|DEBIAN_FRONTEND|PARBAKE_\w+)$/.test(
    name,
  )
}

function ofBody(code: string): Effects {
  const sets = assigned(code)
  const background = /[^&>|]&\s*(?:$|\n|#)/.test(code)
  return {
    ...nothing,
    binds:
      [binding, exporting, leaving].some((pattern) => pattern.test(code)) ||
      background ||
      /\$\{\w+:?=/.test(code) ||
      /\(\(/.test(code.replaceAll('$((', '')) ||
      sets.some(isKnownToAll),
    changesFolder: folder.test(code),
    sets,
  }
}

/** Assignments before a command, which count for that command alone. */
const prefix =
  /(?<=^|[\s;&|({])(?:[A-Za-z_]\w*=(?:'[^'\n]*'|"[^"$`\n]*"|[^\s;&|()'"$`]*)[ \t]+)+(?=[\w./"'$-])(?![A-Za-z_]\w*\+?=)/g

/** Variables and functions that a text sets; too many rather than too few. */
function assigned(text: string): readonly string[] {
  const lasting = text.replaceAll(prefix, '')
  const names = [
    ...lasting.matchAll(/(?:^|[\s;&|({])([A-Za-z_]\w*)(?:\[[^\]]*\])?\+?=/g),
    ...lasting.matchAll(/\b(?:for|select|function)\s+([A-Za-z_][\w-]*)/g),
    ...lasting.matchAll(/([A-Za-z_][\w-]*)[ \t]*\([ \t]*\)/g),
    ...lasting.matchAll(/\bprintf\s+-v\s+([A-Za-z_]\w*)/g),
  ].map((match) => match[1] ?? '')
  return [...new Set(names)]
}

/** True where a text holds this name as a word, whatever it means there. */
export function mentions(text: string, name: string): boolean {
  return new RegExp(String.raw`(?<!\w)${name}(?!\w)`).test(text)
}

/** True for `cd` to a folder that does not depend on where one is. */
export function isAbsoluteCd(text: string): boolean {
  return /^\s*cd\s+["']?\/[^\s$`;&|]*["']?\s*(?:#.*)?$/.test(text)
}
