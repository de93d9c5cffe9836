#!/usr/bin/env node
import { quickProgram } from './quick.ts'

const quick = quickProgram(process.argv)
const { runCli } = quick ?? (await import('./commands/main.ts'))
process.exitCode = await runCli(process.argv)
quick?.finish()
