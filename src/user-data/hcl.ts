/** A string or a map of strings, as an expression of Terraform's language. */
export type HclValue = string | Readonly<Record<string, string>>

/** The expression of a value. Nothing in it is interpolated. */
export function hclExpression(value: HclValue): string {
  if (typeof value === 'string') return hclString(value)
  const width = Math.max(...Object.keys(value).map((key) => hclString(key).length))
  const lines = Object.entries(value).map(
    ([key, member]) => `    ${hclString(key).padEnd(width)} = ${hclString(member)}`,
  )
  return `{\n${lines.join('\n')}\n  }`
}

function hclString(text: string): string {
  const escaped = text
    .replaceAll(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    // eslint-disable-next-line no-template-curly-in-string
    .replaceAll(/[$%](?=\{)/g, '$&$&')
  return `"${escaped}"`
}

/** A name for Terraform, from one of a recipe. */
export function hclName(text: string): string {
  return `parbake_${text.replaceAll(/[^A-Za-z0-9_]/g, '_')}`
}
