/**
 * A pattern as a regular expression: `*` and `?` stay within one part of a path, a double star goes across parts, none at
 * all too, and at the end of the pattern matches the folder itself too. Everything else is literal.
 */
export function globPattern(glob: string): RegExp {
  const folder = glob.endsWith('/**') ? glob.slice(0, -3) : undefined
  const source = (folder ?? glob).replaceAll(/\/\*\*\/|\*\*|[*?]|[.+^${}()|[\]\\]/g, (part) => {
    if (part === '/**/') return '/(?:.*/)?'
    if (part === '**') return '.*'
    if (part === '*') return '[^/]*'
    return part === '?' ? '[^/]' : `\\${part}`
  })
  return new RegExp(`^${source}${folder === undefined ? '' : '(?:/.*)?'}$`, 's')
}
