import { posix } from 'node:path'
import { shQuote } from '../util/sh-quote.ts'

/** The beginning of every rendered script. */
export const prologue = `#!/bin/sh
set -eu
fail() {
  echo "parbake: $*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
`

/** Where what a step brings besides its inputs lies in its folder; inputs must not use this folder. */
export const ownFolder = '.parbake'

/** Where the content of the one file that a step writes lies. */
export const contentPath = `${ownFolder}/content`

/**
 * `install_file SOURCE DESTINATION OWNER MODE`. The file is complete, owned and protected before it gets its name; one that
 * is so already is left alone.
 */
export const installFile = `install_file() { # SOURCE DESTINATION OWNER MODE
  if [ -d "$2" ]; then fail "cannot write $2: a folder has this name"; fi
  umask 022
  mkdir -p "\${2%/*}/" || fail "cannot make the folder of $2"
  temporary=$(mktemp "$2.parbake.XXXXXX") || fail "cannot write $2"
  trap 'rm -f "$temporary"' EXIT
  trap 'exit 1' HUP INT TERM
  cp "$1" "$temporary" || fail "cannot write $2"
  chown -h "$3" "$temporary" ||
    fail "cannot give $2 to $3: is there no such user or group? Make it in a step that this one needs"
  chmod "$4" "$temporary"
  if [ -f "$2" ] && [ ! -L "$2" ] && [ "$(stat -c %u:%g:%a "$2")" = "$(stat -c %u:%g:%a "$temporary")" ] &&
    cmp -s "$temporary" "$2" 2>/dev/null; then
    rm -f "$temporary"
  else
    mv -f "$temporary" "$2"
  fi
}
`

/** Where a file goes. */
export interface Placement {
  readonly destination: string
  readonly owner?: string | undefined
  readonly mode?: string | undefined
}

/** The call of \`install_file\`: owner root:root and mode 0644 where nothing else is said. */
export function callInstallFile(
  source: string,
  { destination, owner = 'root:root', mode = '0644' }: Placement,
): string {
  return `install_file ${shQuote(source)} ${shQuote(destination)} ${owner} ${fourDigits(mode)}\n`
}

/** The mode as chmod and tables show it. */
export function fourDigits(mode: string): string {
  return mode.padStart(4, '0')
}

/** The path of a file of the recipe folder below the step's own folder. */
export function ownPath(...parts: readonly string[]): string {
  return posix.join(ownFolder, ...parts)
}
