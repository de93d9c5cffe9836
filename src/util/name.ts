/** Names of recipes and steps: they become object keys, file names and words of line-based formats. */
export const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** Says what `namePattern` wants. */
export const nameRule = 'must consist of a-z, 0-9 and -, at most 63 characters, without - at either end'
