// Rolls up one store in a process of its own, so that its memory is measured alone. Used by main.ts:
//   child.ts STORE-FOLDER RECIPE [KILL-AFTER-DOCUMENTS]
import { rollUp } from '../../src/profile/rollup/roll-up.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'

const [, , root = '', recipe = '', killAfter] = process.argv
const result = await rollUp(openDirectoryStore(root), recipe, {
  onProgress: ({ documents }) => {
    if (killAfter !== undefined && documents >= Number(killAfter)) process.kill(process.pid, 'SIGKILL')
  },
})
// The kernel's own high-water mark.
process.stdout.write(`${JSON.stringify({ ...result, peakMiB: process.resourceUsage().maxRSS / 1024 })}\n`)
