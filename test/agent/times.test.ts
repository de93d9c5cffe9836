import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { run } from '../../src/system/run.ts'
import { shells, type ShellName } from '../support/agent.ts'

const source = readFileSync(new URL('../../bootstrap/agent.sh', import.meta.url), 'utf8')
const pairs: readonly (readonly [string, string])[] = [
  ...[
    ['0', '0'],
    ['1', '2'],
    ['2', '1'],
    ['99', '1795000000'],
    ['12345678', '12345679'],
    ['123456780', '123456789'],
  ],
  ...[
    ['1795000000', '1795000000'],
    ['1795000000', '1795000001'],
    ['1708080808', '1709090909'],
    ['1895000000', '1795999999'],
  ],
  // Beyond what 31 bits hold.
  ...[
    ['1795000000', '4000000000'],
    ['4000000000', '1795000000'],
    ['1795000000', '999999999999999'],
    ['4000000001', '4000000000'],
  ],
].map(([one = '', other = '']) => [one, other])

it.each(Object.keys(shells) as ShellName[])('times are compared whatever size %s counts in', async (shell) => {
  const [, compare] = /^(at_least\(\) \{.*?^\})/ms.exec(source) ?? []
  const calls = pairs.map(([one, other]) => `if at_least ${one} ${other}; then echo yes; else echo no; fi`)
  const [command, ...args] = shells[shell]
  const { stdout } = await run(command, [...args, '-c', [compare, ...calls].join('\n')])
  expect(stdout.split('\n')).toEqual(pairs.map(([one, other]) => (Number(one) >= Number(other) ? 'yes' : 'no')))
})
