/** What canonical JSON can hold; `undefined` members are left out. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/**
 * JSON with keys sorted by UTF-16 code unit and no white space, so that equal values give equal bytes on every
 * machine and in every locale (the ordering rule of RFC 8785). Numbers must be safe integers.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value)
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) {
      throw new TypeError(`canonical JSON takes safe integers only, got ${value}`)
    }
    return String(value)
  }
  if (isArray(value)) {
    return `[${value.map(canonicalJson).join(',')}]`
  }
  let text = ''
  // Without a comparison of its own, sort goes by code units.
  for (const key of Object.keys(value).toSorted()) {
    const member = value[key]
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalJson(member)}`
  }
  return `{${text}}`
}

/** Array.isArray does not narrow readonly arrays. */
function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

/** Order of strings that does not depend on the locale. */
export function compareCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
