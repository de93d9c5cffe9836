/**
 * Interrupts bakes by SIGINT, SIGTERM and SIGKILL at points spread over all that they do, and checks after each that nothing
 * is published, running or mounted, and after every tenth that the next bake works.
 *
 *   npm run build && npx tsx bench/bake/interrupt.ts [--points 50] [--engine container|vm] [--publish-every 10]
 *
 * Exit code 1 where anything was left. --publish-every 0 leaves out bakes that launch their image and publish it.
 */
import { parseArgs } from 'node:util'
import { findBase } from '../../src/base/index.ts'
import { loadConfig } from '../../src/load-config.ts'
import { tempDir } from '../../src/system/temp.ts'
import { countArgument } from '../figures.ts'
import { interruptBakes } from './interruptions.ts'

const { values } = parseArgs({
  options: {
    points: { type: 'string' },
    engine: { type: 'string', default: 'container' },
    'publish-every': { type: 'string', default: '10' },
  },
})
const { engine } = values
if (engine !== 'container' && engine !== 'vm') throw new RangeError(`'${engine}' is neither container nor vm`)
const controller = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => controller.abort(new Error(name)))

await using folder = await tempDir('interrupt')
const base = await findBase('debian-12', { config: await loadConfig(process.cwd()) })
const say = (text: string) => void process.stderr.write(`${text}\n`)
const { interruptions, afterwards } = await interruptBakes({
  folder: folder.path,
  basePath: base.path,
  engine,
  points: countArgument(values.points, 50),
  publishEvery: Number(values['publish-every']),
  checkEvery: 10,
  signal: controller.signal,
  say,
})
const bad = interruptions.filter(({ wrong }) => wrong.length > 0)
const lines = [
  `${interruptions.length} interruptions, ${interruptions.length - bad.length} left nothing behind`,
  ...bad.map(
    ({ stopSignal, at, during, wrong }) => `${stopSignal} at ${at.toFixed(2)} s (${during}): ${wrong.join('; ')}`,
  ),
  ...afterwards,
]
process.stdout.write(`${lines.join('\n')}\n`)
if (lines.length > 1) process.exitCode = 1
