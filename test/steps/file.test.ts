import { describe, expect, it } from 'vitest'
import type { RenderedParts } from '../../src/steps/types.ts'
import { findings } from '../recipe/support.ts'
import { renderType } from './support.ts'
import { canScratch, runInScratch, shells } from './scratch.ts'

const bytes = Buffer.from([0, 255, 10, 13, 128, 0])

async function binary(spec: Readonly<Record<string, unknown>>): Promise<RenderedParts> {
  const parts = await renderType('file', { content: '', destination: '/srv/new/x.bin', ...spec })
  return { ...parts, files: parts.files.map((file) => ({ ...file, content: bytes })) }
}

describe.skipIf(!canScratch)('file', () => {
  it.each(shells)('writes bytes, leaves them alone, mends owner and mode, under %s', async (shell) => {
    const show = `cd /srv/new; ls -A; od -An -tx1 x.bin; stat -c '%U:%G %a' x.bin`
    const spec = { owner: 'games:adm', mode: '4711' }
    const outcomes = await runInScratch(
      [
        await binary(spec),
        `${show}; touch -d @1000 x.bin; ln x.bin /srv/same`,
        await binary(spec),
        'cd /srv/new; stat -c %Y x.bin; test x.bin -ef /srv/same && echo same; chmod 600 x.bin',
        await binary(spec),
        show,
      ],
      { shell },
    )
    expect(outcomes.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(outcomes.map(() => [0, '']))
    const shown = 'x.bin\n 00 ff 0a 0d 80 00\ngames:adm 4711'
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(['', shown, '', '1000\nsame', '', shown])
  })

  it('replaces a link, not what it leads to', async () => {
    const [, written, shown] = await runInScratch([
      'mkdir /srv/new; echo safe >/srv/safe; ln -s /srv/safe /srv/new/x.bin',
      await renderType('file', { content: 'new', destination: '/srv/new/x.bin' }),
      'cat /srv/safe; cat /srv/new/x.bin; ls -l /srv/new/x.bin | cut -c1-10',
    ])
    expect([written?.exitCode, shown?.stdout]).toEqual([0, 'safe\nnew-rw-r--r--'])
  })
})

describe.skipIf(!canScratch)('directory', () => {
  const tree: RenderedParts['files'] = [
    { path: '.parbake/tree/index.html', executable: false, content: Buffer.from('<p>') },
    { path: ".parbake/tree/bin/it's run", executable: true, content: Buffer.from('#!/bin/sh\n') },
  ]
  const make = async (spec: Readonly<Record<string, unknown>>, files: RenderedParts['files'] = []) => ({
    ...(await renderType('directory', { path: '/srv/a/b', ...spec })),
    files,
  })

  it.each(shells)('makes, fills and removes a folder under %s', async (shell) => {
    const list = `cd /srv/a; find . ! -name . -exec stat -c '%U:%G %a %n' {} + | sort -k3`
    const outcomes = await runInScratch(
      [
        await make({}),
        `${list}; echo mine >b/mine`,
        await make({ source: 'site', owner: 'games:games', mode: '2750' }, tree),
        list,
        await make({ absent: true }),
        await make({ absent: true }),
        'ls -A /srv/a',
      ],
      { shell },
    )
    expect(outcomes.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(outcomes.map(() => [0, '']))
    expect(outcomes[1]?.stdout).toBe('root:root 755 ./b')
    expect(outcomes[3]?.stdout.split('\n')).toEqual([
      'games:games 2750 ./b',
      'games:games 2750 ./b/bin',
      "games:games 750 ./b/bin/it's run",
      'games:games 640 ./b/index.html',
      'root:root 644 ./b/mine',
    ])
    expect(outcomes[6]?.stdout).toBe('')
  })

  it.each([
    ['a file of that name', 'mkdir /srv/a; >/srv/a/b', {}, 'cannot make the folder /srv/a/b: a file has this name'],
    ['a link inside', 'mkdir -p /srv/a/b; ln -s /etc /srv/a/b/bin', { source: 'site' }, 'a link has this name'],
    ['a file to remove', 'mkdir /srv/a; >/srv/a/b', { absent: true }, 'will not remove /srv/a/b: it is no folder'],
    ['no such owner', 'true', { owner: 'nobody-here' }, 'cannot give /srv/a/b to nobody-here: is there no such user'],
  ])('%s is refused', async (_, before, spec, message) => {
    const [, refused, after] = await runInScratch([
      before,
      await make(spec, 'source' in spec ? tree : []),
      "stat -c '%U %a' /etc",
    ])
    expect([refused?.exitCode, refused?.stderr]).toEqual([1, expect.stringContaining(`parbake: `) as string])
    expect(refused?.stderr).toContain(message)
    expect(after?.stdout).toBe('root 755')
  })
})

describe('problems', () => {
  const step = (lines: string) => `steps:\n  - name: one\n${lines.replaceAll(/^/gm, '    ')}\n`
  const tree = { 'site/a': 'a', 'one.bin': Buffer.from([255]) }
  it.each([
    ['type: file\ndestination: /x', "steps[0] must have 'source' or 'content'"],
    ['type: file\ndestination: /x\nsource: site', "steps[0].source names a folder, 'site', where a file is wanted"],
    ['type: file\ndestination: /x\nsource: gone', "steps[0].source names 'gone', which does not exist"],
    ['type: file\ndestination: x/y\ncontent: a', 'steps[0].destination must be an absolute path of a file'],
    ['type: file\ndestination: /x\ncontent: a\nmode: 0644', 'steps[0].mode must be a quoted octal string'],
    [
      'type: directory\npath: /a/b\nsource: one.bin',
      "steps[0].source names a file, 'one.bin', where a folder is wanted",
    ],
    ['type: directory\npath: /etc\nabsent: true', "steps[0].path is '/etc', which no host does without"],
    ['type: directory\npath: /a/b\nabsent: true\nmode: "700"', 'steps[0].mode means nothing for a folder that is'],
    ['type: user\nuser: Web', 'steps[0].user must be the name of an account'],
    ['type: user\nuser: web\nauthorizedKeys: [ssh-ed25519]', 'steps[0].authorizedKeys[0] must be a public SSH key'],
    ['type: user\nuser: web\ngid: 7', "steps[0].gid needs 'group' beside it"],
    ['type: user\nuser: web\nabsent: true\nuid: 7', 'steps[0].uid means nothing for a user who is removed'],
    [
      'type: user\nuser: web\nauthorizedKeys: []\nbake: always',
      'steps[0].bake cannot be always: it lets people in by SSH keys, which an image must not hold',
    ],
    ['type: service\nservice: nginx', "steps[0] must have 'state' or 'enabled'"],
    ['type: service\nservice: a b\nstate: started', 'steps[0].service must be the name of a service'],
    [
      'type: service\nservice: x\nstate: started\nenabled: false\nbake: always',
      'steps[0].bake cannot be always: an enabled',
    ],
  ])('%j', async (lines, message) => {
    const text = await findings({ ...tree, 'recipe.yaml': step(lines) })
    expect(text).toContain(message)
    expect(text).toMatch(/^recipe\.yaml:\d+:\d+: /)
    expect(text.match(/recipe\.yaml:\d+:/g)).toHaveLength(1)
  })

  it('good ones have none', async () => {
    expect(
      await findings({
        ...tree,
        'recipe.yaml': [
          'type: file\ndestination: /x\nsource: one.bin',
          'type: directory\npath: /srv/a\nsource: ./site/',
          'type: user\nuser: web\ngroups: [adm]\nsystem: true',
          'type: service\nservice: getty@tty1.service\nstate: restarted\nbake: always',
        ]
          .map((lines, index) => `  - name: n${index}\n${lines.replaceAll(/^/gm, '    ')}`)
          .reduce((text, lines) => `${text}\n${lines}`, 'steps:'),
      }),
    ).toBe('')
  })
})
