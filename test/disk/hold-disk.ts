import { join } from 'node:path'
import { exposeRaw } from '../../src/disk/expose.ts'
import { mountSystem } from '../../src/disk/mount.ts'
import { toolContext } from './support.ts'

// A process of its own, for a test that kills it: mounts a qcow2 and says so.
const [path = '', folder = ''] = process.argv.slice(2)
const raw = await exposeRaw(toolContext(), { path, format: 'qcow2', writable: true, workFolder: folder })
const system = await mountSystem(toolContext(), raw, join(folder, 'mnt'), { writable: true })
process.stdout.write(`${system.root}\n`)
setInterval(() => {}, 1000)
