/** All strings that `{a,b}` stands for, innermost last: `x{a,b}` gives `xa` and `xb`. */
export function expandBraces(glob: string): readonly string[] {
  const match = /\{([^{}]*)\}/.exec(glob)
  if (match === null) return [glob]
  const before = glob.slice(0, match.index)
  const after = glob.slice(match.index + match[0].length)
  return (match[1] ?? '').split(',').flatMap((choice) => expandBraces(`${before}${choice}${after}`))
}

/**
 * The globs of the seal list as regular expression source, unanchored. `homes` is what `~` stands for. `*` also matches a
 * dot at the beginning of a name, other than in a shell: a trace is a trace.
 */
export function globSource(glob: string, homes: readonly string[]): string {
  return expandBraces(glob)
    .flatMap((plain) => (plain.startsWith('~/') ? homes.map((home) => `${home}${plain.slice(1)}`) : [plain]))
    .map(plainSource)
    .join('|')
}

function plainSource(glob: string): string {
  return glob.replaceAll(/\[[^\]]*\]|\/\*\*\/|\*\*|\*|[.+^${}()|[\]\\?]/g, (token) => {
    if (token === '/**/') return '/(?:.*/)?'
    if (token === '**') return '.*'
    if (token === '*') return '[^/]*'
    return token.startsWith('[') && token.endsWith(']') ? token : `\\${token}`
  })
}
