import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadAgent } from '../../src/bundle/agent.ts'
import { squeezeShell } from '../../src/bundle/squeeze-shell.ts'
import { run } from '../../src/system/run.ts'
import { sha256 } from '../../src/util/sha256.ts'

const agentFile = join(import.meta.dirname, '../../bootstrap/agent.sh')

/** The script as bash understood it: no comments, one layout. */
async function understoodByBash(script: string): Promise<string> {
  const result = await run('bash', ['-c', 'eval "whole() {\n$(cat)\n}"; declare -f whole'], { input: script })
  expect(result.stdout.length).toBeGreaterThan(10)
  return result.stdout
}

describe('squeezeShell', () => {
  it.each<[string, string, string]>([
    ['keeps the shebang', '#!/bin/sh\n# about\n\necho a\n', '#!/bin/sh\necho a\n'],
    [
      'drops indentation, comments and trailing white space',
      'if a; then\n  b # why\n\t# c\n  d  \nfi\n',
      'if a; then\nb\nd\nfi\n',
    ],
    ['keeps # inside words', 'echo a#b $# ${#x} ${x#y}\n', 'echo a#b $# ${#x} ${x#y}\n'],
    ['keeps # inside quotes', `echo ' # a' " # b" \\# c\n`, `echo ' # a' " # b" \\# c\n`],
    ['is not taken in by a quote in a comment', "a # don't\n  b\n", 'a\nb\n'],
    ['keeps quoted lines', "x='a\n  # no comment\n\n  b  '\n  y\n", "x='a\n  # no comment\n\n  b  '\ny\n"],
    ['keeps lines in double quotes', 'x="a \\" \n  # b\n"\n  y\n', 'x="a \\" \n  # b\n"\ny\n'],
    ['keeps here-documents', "cat <<'E'\n  # a\n\n  E\nE\n  b\n", "cat <<'E'\n  # a\n\n  E\nE\nb\n"],
    ['keeps here-documents with tabs', '  cat <<-E >x\n\t# a\n\tE\n  b\n', 'cat <<-E >x\n\t# a\n\tE\nb\n'],
    ['takes a shift for no here-document', 'x=$((1 << 2))\n  y\n', 'x=$((1 << 2))\ny\n'],
    ['keeps what follows a backslash at the end', 'echo a\\\n  b \\\n  c\n  d\n', 'echo a\\\n  b \\\n  c\nd\n'],
  ])('%s', async (_name, script, expected) => {
    expect(squeezeShell(script)).toBe(expected)
    expect(await understoodByBash(squeezeShell(script))).toBe(await understoodByBash(script))
  })

  it('changes nothing in what bash and dash make of the agent', async () => {
    const script = await readFile(agentFile, 'utf8')
    const squeezed = squeezeShell(script)
    expect(await understoodByBash(squeezed)).toBe(await understoodByBash(script))
    expect(squeezed.length).toBeLessThan(script.length)
    await run('dash', ['-n'], { input: squeezed })
    expect(squeezeShell(squeezed)).toBe(squeezed)
  })
})

describe('loadAgent', () => {
  it('names the agent by the digest of exactly what is handed out', () => {
    const agent = loadAgent()
    expect(agent.text.startsWith('#!/bin/sh\n')).toBe(true)
    expect(agent.sha256).toBe(sha256(agent.text))
  })
})
