const longest = 40

/** Words as the name of a step: `a-z`, `0-9` and `-`, cut between words. Empty where nothing is left. */
export function slug(text: string): string {
  const words = text
    .toLowerCase()
    .replaceAll(/['’]/g, '')
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '')
  let name = ''
  for (const word of words) {
    const longer = name === '' ? word.slice(0, longest) : `${name}-${word}`
    if (longer.length > longest) break
    name = longer
  }
  return name
}
