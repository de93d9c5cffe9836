import { describe, expect, test } from 'vitest'
import { formatUserError, UserError } from '../../src/errors.ts'
import { tempDir } from '../../src/system/temp.ts'
import { parseYaml } from '../../src/util/yaml.ts'
import { loadAllowances, parseAllowances } from '../../src/verify/allowance-file.ts'

const parse = (text: string) => parseAllowances(parseYaml(text, 'verify.yaml'))

/** What a user sees. */
function problems(text: string): string {
  try {
    parse(text)
    return ''
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    expect(error.exitCode).toBe(2)
    return formatUserError(error)
  }
}

describe('verify.yaml', () => {
  test('is read', () => {
    const text = `allow:
  - path: /srv/cache/**
    aspects: [content]
    reason: filled while the host runs
  - unit: a.service
    reason: r
  - package: tzdata
    reason: r
  - package: x:amd64
    reason: r
  - port: tcp 0.0.0.0:80
    reason: r
`
    expect(parse(text).map(({ id, kind, glob, aspects, source }) => [id, kind, glob, aspects, source])).toEqual([
      ['verify.yaml:2', 'file', '/srv/cache/**', ['content'], 'recipe'],
      ['verify.yaml:5', 'unit', 'a.service', undefined, 'recipe'],
      ['verify.yaml:7', 'package', 'tzdata:*', undefined, 'recipe'],
      ['verify.yaml:9', 'package', 'x:amd64', undefined, 'recipe'],
      ['verify.yaml:11', 'port', 'tcp 0.0.0.0:80', undefined, 'recipe'],
    ])
  })

  test.each([
    ['a reason that is missing', 'allow:\n  - path: /a\n', 'verify.yaml:2:5: allow[0].reason is missing'],
    [
      'a reason without words',
      'allow:\n  - path: /a\n    reason: " "\n',
      'verify.yaml:3:13: allow[0].reason must say why',
    ],
    ['no thing', 'allow:\n  - reason: r\n', 'verify.yaml:2:5: allow[0] must name one thing, and names none'],
    ['two things', 'allow:\n  - path: /a\n    unit: b\n    reason: r\n', 'names path and unit'],
    ['a relative path', 'allow:\n  - path: a\n    reason: r\n', 'verify.yaml:2:11: allow[0].path must be absolute'],
    ['everything', 'allow:\n  - path: /**\n    reason: r\n', 'allow[0].path allows everything'],
    [
      'an aspect of something else',
      'allow:\n  - unit: a\n    aspects: [mode]\n    reason: r\n',
      "verify.yaml:3:15: allow[0].aspects[0] 'mode' is nothing that a unit has",
    ],
    ['a slip', 'allow:\n  - paths: /a\n    reason: r\n', "unknown key 'paths'"],
    ['a list at the top', '- path: /a\n', 'verify.yaml:1:'],
    ['bad YAML', 'allow: [\n', 'bad YAML'],
  ])('is refused for %s', (_what, text, wanted) => {
    expect(problems(text)).toContain(wanted)
  })

  test('may be missing', async () => {
    await using folder = await tempDir('verify-test')
    expect(await loadAllowances(folder.path)).toEqual([])
  })
})
