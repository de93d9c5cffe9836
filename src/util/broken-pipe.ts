import { exitCodes } from '../errors.ts'

/** `parbake … | head` closes stdout early; that is the reader's choice, no error. */
export function ignoreBrokenPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitCodes.ok)
    throw error
  })
}
