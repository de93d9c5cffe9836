import { describe, expect, it } from 'vitest'
import { fillTemplate } from '../../src/steps/handlebars.ts'
import { run } from '../../src/system/run.ts'

const variables = { port: 8080, name: `it's <b> & "q"`, on: true, off: false, lines: 'a\nb $HOME `x` \\' }

describe('fillTemplate', () => {
  it.each([
    ['no braces at all', 'no braces at all'],
    ['{{port}}', '8080'],
    ['{{name}}', `it's <b> & "q"`],
    ['{{{name}}}', `it's <b> & "q"`],
    ['{{sh name}}', `'it'\\''s <b> & "q"'`],
    ['{{sh port}}', `'8080'`],
    ['{{#if on}}yes{{else}}no{{/if}} {{#if off}}yes{{else}}no{{/if}}', 'yes no'],
    ['{{#unless off}}{{port}}{{/unless}}', '8080'],
    ['\\{{port}}', '{{port}}'],
    ['{{! a comment }}x', 'x'],
    ['a\n{{#if on}}\nb\n{{/if}}\nc\n', 'a\nb\nc\n'],
    ['${var} $(cmd) {x}', '${var} $(cmd) {x}'],
  ])('%j gives %j', async (source, text) => {
    expect(await fillTemplate(source, variables)).toEqual({ ok: true, text })
  })

  it.each([
    ['{{prt}}', [{ message: "there is no parameter 'prt'", line: 1, column: 3, unknown: 'prt' }]],
    [
      'x\n {{a}}{{sh b}}\n{{#if c}}{{d}}{{else}}{{e}}{{/if}}',
      [
        { message: "there is no parameter 'a'", line: 2, column: 4, unknown: 'a' },
        { message: "there is no parameter 'b'", line: 2, column: 12, unknown: 'b' },
        { message: "there is no parameter 'c'", line: 3, column: 7, unknown: 'c' },
        { message: "there is no parameter 'd'", line: 3, column: 12, unknown: 'd' },
        { message: "there is no parameter 'e'", line: 3, column: 25, unknown: 'e' },
      ],
    ],
    [
      '{{constructor}}',
      [{ message: "there is no parameter 'constructor'", line: 1, column: 3, unknown: 'constructor' }],
    ],
    [
      '{{name.length}}',
      [{ message: "there is no parameter 'name.length'", line: 1, column: 3, unknown: 'name.length' }],
    ],
    ['{{@root}}', [{ message: "there is no parameter '@root'", line: 1, column: 3, unknown: '@root' }]],
    ['{{quote port}}', [{ message: "there is no helper 'quote' here: use sh", line: 1, column: 3 }]],
    ['{{sh}}', [{ message: "'sh' takes exactly one parameter", line: 1, column: 3 }]],
    ['{{sh port name}}', [{ message: "'sh' takes exactly one parameter", line: 1, column: 3 }]],
    ['{{#each port}}{{/each}}', [{ message: "there is no helper 'each' here: use if or unless", line: 1, column: 4 }]],
    ['{{> part}}', [{ message: 'partials are not supported', line: 1, column: 1 }]],
    ['a\nb {{#if', [{ message: 'the template has a syntax error', line: 2, column: 3 }]],
    ['{{#if on}}\n{{/unless}}', [{ message: "if doesn't match unless", line: 1, column: 4 }]],
  ])('%j is refused', async (source, problems) => {
    expect(await fillTemplate(source, variables)).toEqual({ ok: false, problems })
  })

  it.each(['dash', 'bash', 'busybox'])('what sh quotes comes out of %s as it went in', async (shell) => {
    const result = await fillTemplate('printf %s {{sh lines}}{{sh name}}', variables)
    const args = shell === 'busybox' ? ['sh', '-c'] : ['-c']
    const { stdout } = await run(shell, [...args, result.ok ? result.text : 'exit 1'])
    expect(stdout).toBe(variables.lines + variables.name)
  })
})
