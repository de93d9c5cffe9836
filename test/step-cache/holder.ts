import { openStepCache } from '../../src/step-cache/cache.ts'
import { contextIn, keepState } from './support.ts'

/** Keeps one state, reserves a folder, says so and waits to be killed. */
const cache = await openStepCache(contextIn(process.argv[2] ?? ''))
const { folder } = await keepState(cache, [], undefined)
const reserved = await cache.reserve()
process.stdout.write(`${JSON.stringify({ pid: process.pid, reserved, kept: folder })}\n`)
setInterval(() => {}, 1000)
