import type { StepEffects } from '../steps/types.ts'

/** Something that a step makes or uses. Offsets are in its script; undefined where its keys say so. */
export interface Mention {
  readonly what: string
  readonly offset: number | undefined
}

/** Paths are absolute and normalised; units without `.service`; accounts are users and groups. */
export interface Effects {
  readonly files: readonly Mention[]
  /** Files that it adds to. */
  readonly appends: readonly Mention[]
  readonly folders: readonly Mention[]
  readonly accounts: readonly Mention[]
  /** Debian packages, as written. */
  readonly packages: readonly Mention[]
  readonly usesPaths: readonly Mention[]
  readonly usesAccounts: readonly Mention[]
  readonly usesUnits: readonly Mention[]
  readonly usesCommands: readonly Mention[]
}

export type MutableEffects = { -readonly [Key in keyof Effects]: Mention[] }

export function noEffects(): MutableEffects {
  return {
    files: [],
    appends: [],
    folders: [],
    accounts: [],
    packages: [],
    usesPaths: [],
    usesAccounts: [],
    usesUnits: [],
    usesCommands: [],
  }
}

/** What a step's keys say, in the form in which scripts are read. */
export function declaredEffects(declared: StepEffects): MutableEffects {
  const mentions = (names: readonly string[] | undefined) => (names ?? []).map((what) => ({ what, offset: undefined }))
  return {
    ...noEffects(),
    files: mentions(declared.writes),
    accounts: mentions(declared.accounts),
    packages: mentions(declared.packages),
    usesPaths: mentions(declared.reads),
    usesAccounts: mentions(declared.usesAccounts),
    usesUnits: mentions(declared.usesUnits?.map(unitName)),
  }
}

/** A unit's name without `.service`; other kinds keep theirs. */
export function unitName(text: string): string {
  return text.replace(/\.service$/, '')
}

/** The unit that a file defines, or undefined. */
export function unitOfFile(path: string): string | undefined {
  const match = /^\/(?:etc|lib|usr\/lib|usr\/local\/lib|run)\/systemd\/system\/([^/]+\.[a-z]+)$/.exec(path)
  return match?.[1] === undefined ? undefined : unitName(match[1])
}

/** The command that a file is, by being in a folder of PATH, or undefined. */
export function commandOfFile(path: string): string | undefined {
  return /^\/(?:usr\/(?:local\/)?)?s?bin\/([^/]+)$/.exec(path)?.[1]
}
