/** One argument in single quotes, inside which sh reads nothing but a closing quote. */
export function shQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
