import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cliHome, runCli, runShell } from '../support/cli.ts'

const verbs = [
  'demo',
  'doctor',
  'check',
  'keys',
  'base',
  'store',
  'publish',
  'user-data',
  'launch',
  'profile',
  'plan',
  'bake',
]

const stackLine = /^\s+at .*:\d+/m

describe('help', () => {
  test('lists the verbs in the order of the loop', async () => {
    await using home = await cliHome()
    const { exitCode, stdout, stderr } = await runCli(['--help'], home)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const listed = [...stdout.matchAll(/^ {2}([a-z][a-z-]+)/gm)].map((match) => match[1] ?? '')
    expect(listed.filter((verb) => verbs.includes(verb))).toEqual(verbs)
  })

  test.each(verbs)('%s has its own', async (verb) => {
    await using home = await cliHome()
    const { exitCode, stdout, stderr } = await runCli([verb, '--help'], home)
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(stdout).toContain(`Usage: parbake ${verb}`)
  })
})

describe('bad usage', () => {
  test.each([
    ['an unknown verb', ['frobnicate'], /unknown command 'frobnicate'/],
    ['no verb', [], /Usage: parbake/],
    ['an unknown option', ['profile', '--frobnicate', 'x'], /unknown option '--frobnicate'/],
    ['a missing argument', ['publish'], /missing required argument 'recipe'/],
    ['a malformed --forward', ['launch', '.', '--forward', '80'], /--forward '80' has no form HOSTPORT:GUESTPORT/],
    ['a malformed --timeout', ['launch', '.', '--timeout', 'long'], /--timeout 'long'/],
    ['a malformed --param', ['publish', '.', '--param', 'port'], /--param 'port' has no form NAME=VALUE/],
    ['an unknown target', ['user-data', '.', '--target', 'moon'], /nocloud/],
    ['a tag that is no name', ['user-data', '.', '--tags', 'a,B'], /a tag must consist of a-z.*one is 'B'/],
    ['an unknown output form', ['user-data', '.', '--output-format', 'xml'], /launch-template, terraform, cli/],
    ['a seed for a cloud', ['user-data', '.', '--target', 'aws', '--seed', 'x'], /--seed is for --target nocloud/],
    ['a host name without a seed', ['user-data', '.', '--hostname', 'x'], /--hostname .* go with --seed/],
    ['two kinds of output', ['user-data', '.', '--seed', 'x', '--explain'], /exclude each other/],
    ['an unknown inner verb', ['keys', 'frobnicate'], /frobnicate|Usage: parbake keys/],
  ])('%s ends with 2 and says what is wrong', async (_, args, message) => {
    await using home = await cliHome()
    const { exitCode, stdout, stderr } = await runCli(args, home)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(stackLine)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  })

  test('an unknown verb is answered with those that there are', async () => {
    await using home = await cliHome()
    const { stderr } = await runCli(['frobnicate'], home)
    for (const verb of verbs) expect(stderr).toContain(verb)
  })
})

describe('configuration', () => {
  test('a wrong key is shown with its place, a caret and the right one', async () => {
    await using home = await cliHome()
    await writeFile(join(home.cwd, 'parbake.yaml'), 'channel: stable\nvm:\n  memroy: 1GiB\n')
    const { exitCode, stdout, stderr } = await runCli(['keys', 'list'], home)
    expect(stderr).toContain('parbake.yaml:3:3: ')
    expect(stderr).toMatch(/\n {6}memroy: 1GiB\n {6}\^\n/)
    expect(stderr).toContain('memory')
    expect(stderr).not.toMatch(stackLine)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  })

  test('all that is wrong is reported at once, in order', async () => {
    await using home = await cliHome()
    await writeFile(join(home.cwd, 'parbake.yaml'), 'stor: file:///tmp/x\nvm:\n  cpus: many\nplan:\n  minShare: 7\n')
    const { exitCode, stderr } = await runCli(['keys', 'list'], home)
    expect([...stderr.matchAll(/parbake\.yaml:(\d+):/g)].map((match) => match[1])).toEqual(['1', '3', '5'])
    expect(exitCode).toBe(2)
  })

  test('broken YAML is shown with its place', async () => {
    await using home = await cliHome()
    await writeFile(join(home.cwd, 'parbake.yaml'), 'channel: stable\nstore: [\n')
    const { exitCode, stderr } = await runCli(['keys', 'list'], home)
    expect(stderr).toMatch(/parbake\.yaml:\d+:\d+: /)
    expect(stderr).not.toMatch(stackLine)
    expect(exitCode).toBe(2)
  })

  test('a named file that is not there is refused', async () => {
    await using home = await cliHome()
    const { exitCode, stderr } = await runCli(['keys', 'list', '--config', 'nowhere.yaml'], home)
    expect(stderr).toContain('nowhere.yaml')
    expect(exitCode).toBe(2)
  })

  test('a store URL of an unknown kind is refused with what would do', async () => {
    await using home = await cliHome()
    await writeFile(join(home.cwd, 'parbake.yaml'), 'store: ftp://host/bucket\n')
    const { exitCode, stderr } = await runCli(['keys', 'list'], home)
    expect(stderr).toContain('parbake.yaml:1:8: ')
    expect(stderr).toContain('s3://')
    expect(exitCode).toBe(2)
  })
})

describe('recipes', () => {
  test('a folder without a recipe is refused', async () => {
    await using home = await cliHome()
    for (const verb of ['check', 'publish', 'plan', 'profile', 'user-data', 'launch', 'bake']) {
      const { exitCode, stderr } = await runCli([verb, './nothing-here'], home)
      expect({ verb, exitCode }).toEqual({ verb, exitCode: 2 })
      expect(stderr).toContain('nothing-here')
      expect(stderr).not.toMatch(stackLine)
    }
  })

  test('check reports all problems of a recipe at once, in order', async () => {
    await using home = await cliHome()
    const text = [
      'name: web',
      'steps:',
      '  - name: one',
      '    type: scirpt',
      '    run: true',
      '  - name: two',
      '    type: template',
      '    content: x',
      '    destination: /etc/x',
      '    mode: 0644',
      '  - name: three',
      '    type: script',
      '    file: ../../etc/passwd',
      '    needs: [nobody]',
    ].join('\n')
    await writeFile(join(home.cwd, 'recipe.yaml'), `${text}\n`)
    const { exitCode, stderr } = await runCli(['check', '.'], home)
    const lines = [...stderr.matchAll(/recipe\.yaml:(\d+):\d+: /g)].map((match) => Number(match[1]))
    expect(lines).toEqual(lines.toSorted((a, b) => a - b))
    expect(lines).toEqual(expect.arrayContaining([4, 10, 13, 14]))
    expect(exitCode).toBe(2)
  })
})

describe('output', () => {
  test('a reader that closes early is no error', async () => {
    await using home = await cliHome()
    const { stdout, stderr } = await runShell(`$PARBAKE --help | head -n 1; echo "\${PIPESTATUS[0]}"`, home)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Usage: .*\n0\n$/)
    const closed = await runShell(`{ sleep 0.2; $PARBAKE store policy --bucket parbake; echo $? >&2; } | true`, home)
    expect(closed.stderr).toBe('0\n')
  })

  test('a policy is JSON that names no more than hosts need', async () => {
    await using home = await cliHome()
    const { exitCode, stdout } = await runCli(['store', 'policy', '--for', 'hosts', '--bucket', 'acme'], home)
    expect(exitCode).toBe(0)
    const { Statement: statements } = JSON.parse(stdout) as { Statement: { Action: string | string[] }[] }
    const actions = statements.flatMap((statement) => statement.Action).toSorted()
    expect(new Set(actions)).toEqual(new Set(['s3:GetObject', 's3:PutObject']))
  })

  test('--json puts one document on stdout', async () => {
    await using home = await cliHome()
    const { exitCode, stdout } = await runCli(['keys', 'init', '--json'], home)
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toBeTypeOf('object')
    const again = await runCli(['keys', 'init'], home)
    expect(again.exitCode).toBe(1)
    expect(again.stderr).not.toMatch(stackLine)
  })
})
