import { type Readable, Transform } from 'node:stream'

/**
 * Passes a response body on, fails where it ends before `expectedBytes`, and turns its errors into the store's. The
 * source is destroyed when the result is.
 */
export function checkedBody(source: Readable, expectedBytes: number, toError: (error: unknown) => Error): Readable {
  let received = 0
  const checked = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length
      done(null, chunk)
    },
    flush(done) {
      const short = received !== expectedBytes
      done(short ? toError(new Error(`the answer ended after ${received} of ${expectedBytes} bytes`)) : null)
    },
  })
  source.on('error', (error) => checked.destroy(toError(error)))
  source.on('close', () => {
    if (!source.readableEnded && !checked.destroyed) checked.destroy(toError(new Error('the connection was closed')))
  })
  checked.on('close', () => source.destroy())
  return source.pipe(checked)
}
