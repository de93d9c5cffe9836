import { expect, it } from 'vitest'
import { renderType } from './support.ts'

it.each([
  [{ run: 'echo hi' }, '#!/bin/sh\nset -eu\necho hi\n'],
  [{ run: '#!/usr/bin/env python3\nprint(1)\n' }, '#!/usr/bin/env python3\nprint(1)\n'],
  [{ file: 'go.sh' }, '#!/bin/sh\nset -eu\ncontent of go.sh\n'],
  [{ run: 'echo {{not filled}}' }, '#!/bin/sh\nset -eu\necho {{not filled}}\n'],
])('%j', async (spec, script) => {
  expect(await renderType('script', spec)).toEqual({ script, files: [] })
})
