#!/usr/bin/env node
import { runCli } from './commands/main.ts'

process.exitCode = await runCli(process.argv)
