import ora from 'ora'
import type { Reporter } from './events.ts'
import { formatSeconds, renderPlain, wanted, type ReporterOptions } from './reporters.ts'

/** A spinner for the innermost running phase; finished phases stay as lines. Only for terminals. */
export function ttyReporter(options: ReporterOptions): Reporter {
  const running: string[] = []
  const spinner = ora({ stream: process.stderr, discardStdin: false })
  const resume = () => {
    const label = running.at(-1)
    if (label !== undefined && !options.quiet) spinner.start(label)
  }
  return {
    emit(event) {
      if (event.type === 'phase-start') {
        running.push(event.phase)
        resume()
      } else if (event.type === 'phase-progress') {
        if (running.includes(event.phase)) spinner.text = `${event.phase}: ${event.detail}`
      } else if (event.type === 'phase-end') {
        const at = running.lastIndexOf(event.phase)
        if (at !== -1) running.splice(at, 1)
        const took = event.cached === true ? 'cached' : formatSeconds(event.seconds)
        const detail = event.detail === undefined || event.detail === '' ? '' : `: ${event.detail}`
        if (options.quiet) spinner.stop()
        else spinner.succeed(`${event.phase}${detail} (${took})`)
        resume()
      } else if (wanted(event, options)) {
        spinner.clear()
        options.stream.write(`${renderPlain(event, options) ?? ''}\n`)
      }
    },
    close() {
      spinner.stop()
    },
  }
}
