import { expect, test } from 'vitest'
import { cleanLine, LineLog } from '../../src/vm/line-log.ts'

const late = () => new Error('late')

test.each([
  ['plain', 'plain'],
  ['\u001b[0;1;32m  OK  \u001b[0m] Started\r', '  OK  ] Started'],
  ['\u001b]0;title\u0007prompt', 'prompt'],
  ['\u001bc\u001b[?7l\u001b[2Jx', 'x'],
  ['tab\tstays', 'tab\tstays'],
  ['bell\u0007 and \u0000nul', 'bell and nul'],
])('cleanLine(%j)', (text, expected) => {
  expect(cleanLine(text)).toBe(expected)
})

test('lines are put together from chunks cut anywhere, within characters too', () => {
  const lines: string[] = []
  const log = new LineLog((line) => lines.push(line))
  const bytes = Buffer.from('été\r\nzwei\nrest')
  for (const byte of bytes) log.push(Buffer.from([byte]))
  expect(lines).toEqual(['été', 'zwei'])
  expect(log.tail(2)).toEqual(['zwei', 'rest'])
})

test('a wait finds lines that came before it and lines that come after', async () => {
  const log = new LineLog()
  log.push(Buffer.from('a 1\na 2\n'))
  expect((await log.waitFor(/a (\d)/g, 1000, late)).match[1]).toBe('1')
  const waiting = log.waitFor(/b (\d)/, 60_000, late)
  log.push(Buffer.from('b 3\nb 4\n'))
  expect((await waiting).match[1]).toBe('3')
})

test('a wait ends with the timeout, or with the failure of the stream', async () => {
  const log = new LineLog()
  await expect(log.waitFor(/never/, 10, late)).rejects.toThrow('late')
  const waiting = log.waitFor(/never/, 60_000, late)
  log.push(Buffer.from('unfinished'))
  log.end(new Error('ended'))
  await expect(waiting).rejects.toThrow('ended')
  await expect(log.waitFor(/never/, 60_000, late)).rejects.toThrow('ended')
  expect((await log.waitFor(/unfinished/, 10, late)).line).toBe('unfinished')
})
