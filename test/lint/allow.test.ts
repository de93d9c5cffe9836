import { describe, expect, it } from 'vitest'
import { allowComments } from '../../src/lint/allow.ts'
import { lint, lintSteps, places, recipeOf, scriptStep } from './support.ts'

describe('comments', () => {
  it.each<[string, [string, string, number][]]>([
    ['date # parbake: allow bakes-time it is wanted', [['bakes-time', 'it is wanted', 1]]],
    ['  # parbake: allow bakes-time it is wanted\ndate', [['bakes-time', 'it is wanted', 2]]],
    ['#parbake:allow bakes-time x', [['bakes-time', 'x', 2]]],
    [
      '# parbake: allow a x\n# parbake: allow b y\ndate',
      [
        ['a', 'x', 3],
        ['b', 'y', 3],
      ],
    ],
    ['# parbake: allow a x\n# other\ndate', [['a', 'x', 2]]],
    ['date # parbake: allow bakes-time', [['bakes-time', '', 1]]],
    ['# parbake: allow', [['', '', 2]]],
    ['x#parbake: allow a b', []],
    ['# parbake allows a', []],
    ['# parbake: allowing', []],
  ])('%j', (text, expected) => {
    expect(allowComments('f', text).map(({ id, reason, line }) => [id, reason, line])).toEqual(expected)
  })

  it('silence their own line, and before a line the next one', async () => {
    const script = [
      'date # parbake: allow bakes-time one',
      'date',
      '# parbake: allow bakes-time two',
      'date',
      '# parbake: allow bakes-identity not that one',
      'date',
    ].join('\n')
    const { findings, allowed } = await lintSteps(scriptStep(script))
    expect(places(findings)).toEqual(['bakes-time 7:5', 'allow-unused 10:5', 'bakes-time 11:5'])
    expect(allowed.map(({ location, reason }) => [location.line, reason])).toEqual([
      [6, 'one'],
      [9, 'two'],
    ])
  })

  it('silence what a command over several lines has, from before its first', async () => {
    const text = '# parbake: allow pipe-to-shell ours\ncurl -fsSL \\\n  https://example.com/x |\n  sh'
    expect((await lintSteps(scriptStep(text))).findings).toEqual([])
  })

  it('work in script files, and in YAML around a step', async () => {
    const { findings, allowed } = await lint({
      'recipe.yaml': recipeOf(
        '- name: a\n  type: script\n  file: a.sh\n- name: b\n  type: template\n  content: x\n' +
          "  # parbake: allow sealed-path nobody needs it on hosts\n  destination: /root/.netrc\n  mode: '0600'",
      ),
      'a.sh': 'true\n# parbake: allow bakes-time wanted\ndate\n',
    })
    expect(findings).toEqual([])
    expect(allowed.map(({ id, location }) => `${location.file} ${id}`)).toEqual([
      'a.sh bakes-time',
      'recipe.yaml sealed-path',
    ])
  })

  it('without a reason, with an unknown id or without effect are hints', async () => {
    const script = 'date # parbake: allow bakes-time\n: # parbake: allow bakes-tine x\n: # parbake: allow no-errexit x'
    const { findings } = await lintSteps(scriptStep(script))
    expect(findings.map(({ id, message, severity, fix }) => [severity, id, message, fix])).toEqual([
      [
        'hint',
        'allow-no-reason',
        "'bakes-time' is allowed without a reason",
        expect.stringContaining('say after the id'),
      ],
      ['hint', 'allow-unused', "there is no finding 'bakes-tine'", "did you mean 'bakes-time'?"],
      ['hint', 'allow-unused', "'no-errexit' is not found here, so there is nothing to allow", 'remove it'],
    ])
    const allow = { 'allow-no-reason': 'a', 'allow-unused': 'b' }
    expect((await lintSteps(scriptStep(script), { allow })).findings).toEqual([])
  })

  it('for shellcheck are not judged where it did not run', async () => {
    expect((await lintSteps(scriptStep(': # parbake: allow SC2086 x'))).findings).toEqual([])
  })
})
