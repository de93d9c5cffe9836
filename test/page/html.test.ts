import { describe, expect, test } from 'vitest'
import { resolvePointer } from '../../src/page/figures.ts'
import { cleanText, escapeHtml, html, jsonForScript, raw } from '../../src/page/html.ts'

describe('html', () => {
  test('escapes values, in text and in attributes', () => {
    const evil = `"><script>alert('1')</script>&amp;`
    expect(html`<p title="${evil}">${evil}</p>`.text).toBe(
      '<p title="&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;">' +
        '&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;</p>',
    )
  })

  test('joins lists, leaves out nothing, and keeps what is HTML already', () => {
    expect(html`${['<', html`<b>${1}</b>`, undefined, false, ['x']]}${raw('<i>')}`.text).toBe('&lt;<b>1</b>x<i>')
  })

  test('drops what has no shape and what turns text round', () => {
    expect(escapeHtml('a\u001b[31m\nb\u202Egnp.exe')).toBe('a [31m b gnp.exe')
    expect(cleanText('naïve – 日本')).toBe('naïve – 日本')
  })
})

test('data in a script element cannot end it', () => {
  const data = { text: '</script><!--<script>\u2028' }
  const { text } = jsonForScript(data)
  expect(text).not.toContain('<')
  expect(JSON.parse(text)).toEqual(data)
})

test('a pointer leads to a member, an element, or nothing', () => {
  const document = { a: [{ b: 1 }], c: 'x' }
  expect(resolvePointer(document, '/a/0/b')).toBe(1)
  expect(resolvePointer(document, '/a/1/b')).toBeUndefined()
  expect(resolvePointer(document, '/c/length')).toBeUndefined()
})
