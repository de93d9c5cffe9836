import { lockFile } from '../../src/system/file-lock.ts'

/** Takes the lock, says its process id and waits to be killed. */
await lockFile(process.argv[2] ?? '', new AbortController().signal, () => {})
process.stdout.write(`${process.pid}\n`)
setInterval(() => {}, 1000)
