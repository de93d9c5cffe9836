import type { Command } from 'commander'
import type { Context } from '../context.ts'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly verbose?: boolean
  /** Path of a parbake.yaml, instead of looking upwards from the working directory. */
  readonly config?: string
}

/** What `cli.ts` hands to each command. */
export interface App {
  /** Loads the configuration and the reporter that the global options ask for; call it once, at the start of an action. */
  open(command: Command): Promise<CommandContext>
}

export interface CommandContext extends Context {
  readonly json: boolean
  /** Writes text to stdout, a trailing newline added where it lacks one. */
  print(text: string): void
  /** What the command was for is done: an interrupt from now on changes nothing about that, nor the exit code. */
  completed(): void
  /** Writes one JSON document to stdout, indented by two. */
  printJson(value: unknown): void
}

/** Each `commands/<verb>.ts` exports this as `build`. */
export type BuildCommand = (app: App) => Command
