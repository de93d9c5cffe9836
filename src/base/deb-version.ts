/**
 * Compares two versions of Debian packages as dpkg does (Debian Policy 5.6.12): below zero where `a` is the older one,
 * zero where they are equal, above where it is the newer one.
 */
export function compareDebVersions(a: string, b: string): number {
  const left = splitVersion(a)
  const right = splitVersion(b)
  return (
    left.epoch - right.epoch || comparePart(left.upstream, right.upstream) || comparePart(left.revision, right.revision)
  )
}

function splitVersion(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':')
  const rest = version.slice(colon + 1)
  const dash = rest.lastIndexOf('-')
  return {
    epoch: colon === -1 ? 0 : Number.parseInt(version.slice(0, colon), 10) || 0,
    upstream: dash === -1 ? rest : rest.slice(0, dash),
    revision: dash === -1 ? '' : rest.slice(dash + 1),
  }
}

/** Turns by turns a part without digits and a number. */
function comparePart(a: string, b: string): number {
  let left = 0
  let right = 0
  while (left < a.length || right < b.length) {
    while (isText(a[left]) || isText(b[right])) {
      const difference = weight(a[left]) - weight(b[right])
      if (difference !== 0) return difference
      left += 1
      right += 1
    }
    const leftEnd = endOfNumber(a, left)
    const rightEnd = endOfNumber(b, right)
    // As text, for a number may have any length.
    const leftDigits = a.slice(left, leftEnd).replace(/^0+/, '')
    const rightDigits = b.slice(right, rightEnd).replace(/^0+/, '')
    if (leftDigits.length !== rightDigits.length) return leftDigits.length - rightDigits.length
    if (leftDigits !== rightDigits) return leftDigits < rightDigits ? -1 : 1
    left = leftEnd
    right = rightEnd
  }
  return 0
}

function isText(character: string | undefined): boolean {
  return character !== undefined && !isDigit(character)
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9'
}

/** A tilde before the end, the end before letters, letters before all else. */
function weight(character: string | undefined): number {
  if (character === undefined || isDigit(character)) return 0
  if (character === '~') return -1
  const code = character.charCodeAt(0)
  return /[A-Za-z]/.test(character) ? code : code + 256
}

function endOfNumber(text: string, from: number): number {
  let end = from
  while (isDigit(text[end])) end += 1
  return end
}
