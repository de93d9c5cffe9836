const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

/**
 * Seconds of `90`, `"90s"`, `"10m"`, `"1h30m"`; a bare number counts in `bareUnit`. Undefined where the text is no
 * duration.
 */
export function parseDuration(value: number | string, bareUnit: 's' | 'm' | 'd'): number | undefined {
  const text = String(value).trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * (unitSeconds[bareUnit] ?? 1)
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined
  let seconds = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    seconds += Number(amount) * (unitSeconds[unit ?? ''] ?? Number.NaN)
  }
  return seconds
}
