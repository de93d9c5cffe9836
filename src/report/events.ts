/** Every observable thing a command can say on its way. Reporters render them; results go to stdout on their own. */
export type Event =
  /** A stage of work begins; `phase` is a short imperative-like label, unique while it runs. */
  | { readonly type: 'phase-start'; readonly phase: string; readonly detail?: string }
  | { readonly type: 'phase-progress'; readonly phase: string; readonly detail: string }
  | {
      readonly type: 'phase-end'
      readonly phase: string
      readonly seconds: number
      readonly detail?: string
      /** True where an earlier result was reused. */
      readonly cached?: boolean
    }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'warning'; readonly text: string; readonly hint?: string }
  /** A line that a guest printed on its serial console. */
  | { readonly type: 'console'; readonly source: string; readonly line: string }
  /** An outside command about to run, shell-quoted, secrets masked. */
  | { readonly type: 'command'; readonly line: string }

/** Renders events. `close` ends any animation; it may be called twice. */
export interface Reporter {
  emit(event: Event): void
  close(): void
}

/** Runs `work` as a phase: start and end events, seconds measured. The end event is not sent when it throws. */
export async function phase<T>(
  reporter: Reporter,
  label: string,
  work: () => Promise<T>,
  describe?: (result: T) => { detail?: string; cached?: boolean },
): Promise<T> {
  const start = performance.now()
  reporter.emit({ type: 'phase-start', phase: label })
  const result = await work()
  reporter.emit({
    type: 'phase-end',
    phase: label,
    seconds: (performance.now() - start) / 1000,
    ...describe?.(result),
  })
  return result
}
