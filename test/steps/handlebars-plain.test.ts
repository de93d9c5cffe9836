import { expect, it } from 'vitest'
import handlebars from 'handlebars'
import { fillTemplate } from '../../src/steps/handlebars.ts'
import { shQuote } from '../../src/util/sh-quote.ts'

const variables = { a: 'x y', n: 0, yes: true, no: false, empty: '', brace: '{{a}}', dollar: "$& $' $1" }

/** What Handlebars itself makes of a text. */
function reference(source: string): string {
  const engine = handlebars.create()
  engine.registerHelper('sh', (value: unknown) => shQuote(String(value)))
  return engine.compile(source, { noEscape: true, strict: true })(variables)
}

it.each([
  '',
  'no tag } } {',
  '{{a}}',
  '{{a}}{{n}}{{yes}}{{no}}{{empty}}|',
  '{{sh a}} {{sh  n}}',
  '{{brace}} {{dollar}} {{sh dollar}}',
  'line\n  {{a}}\n{{empty}}\nend\n',
  '{{ a }} {{~a~}} {{sh   a }}',
  '\\{{a}} \\\\{{a}}',
  '{{{a}}} { {{a}} }',
  '{ {{a}}}',
  '{{! note }}\n{{a}}',
  '{{#if yes}}\n{{a}}\n{{/if}}\n',
  '{{#unless no}}{{a}}{{/unless}}',
  'a {{',
  '$a {{a}} $& }}',
])('%j is filled as Handlebars does', async (source) => {
  let expected: string | undefined
  try {
    expected = reference(source)
  } catch {
    expected = undefined
  }
  const result = await fillTemplate(source, variables)
  expect(result.ok ? result.text : undefined).toBe(expected)
})
