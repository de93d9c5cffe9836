import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { containerEngine } from '../../src/bake/container/engine.ts'
import { bakeContext, builtBase } from './container-support.ts'
import { bakeJob } from './vm-job.ts'

// A bake in a process of its own, for a test that kills it in the middle of a step.
const [folder = '', cacheDir = ''] = process.argv.slice(2)
const base = await builtBase()
if (base === undefined) throw new Error('no base')
const context = await bakeContext(cacheDir, new AbortController().signal)
const job = await bakeJob(base, [
  { name: 'long', script: 'touch /run/parbake-bake/started; trap "" HUP TERM; sleep 3600' },
])
for (const name of ['layer', 'work']) mkdirSync(join(folder, name))
const session = await containerEngine.open(job, { layer: join(folder, 'layer'), work: join(folder, 'work') }, context)
await session.runStep('long')
