import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectRecipe } from '../../src/recipe/load.ts'
import { stepTypes } from '../../src/steps/registry.ts'
import { findings, recipeFolder, render } from './support.ts'

const typeNames = stepTypes.map((type) => type.name).join(', ')
const step = (lines: string) => `steps:\n  - name: one\n${lines.replaceAll(/^/gm, '    ')}\n`
const script = (lines: string) => step(`type: script\nrun: 'true'\n${lines}`)
const template = (lines: string) => step(`type: template\ncontent: x\ndestination: /etc/x\n${lines}`)

describe('one problem', () => {
  it.each<[string, string, string]>([
    [
      'an unknown key at the top',
      `nmae: x\n${script('retries: 1')}`,
      "recipe.yaml:1:1: unknown key 'nmae'\n    nmae: x\n    ^\n  did you mean 'name'?",
    ],
    [
      'an unknown key in a step',
      script('depends: []'),
      "recipe.yaml:5:5: unknown key 'depends' in steps[0]\n        depends: []\n        ^\n" +
        '  known here: type, name, description, needs, when, bake, if, requires, inputs, inline, params, env, secrets, timeout, retries, reboot, trace, run, file',
    ],
    [
      'a key of another type',
      script("mode: '0644'"),
      "recipe.yaml:5:5: unknown key 'mode' in steps[0]\n        mode: '0644'\n        ^\n" +
        '  known here: type, name, description, needs, when, bake, if, requires, inputs, inline, params, env, secrets, timeout, retries, reboot, trace, run, file',
    ],
    [
      'an unknown step type',
      step('type: scirpt\nrun: x'),
      `recipe.yaml:3:11: steps[0].type must be one of ${typeNames}, but is 'scirpt'\n` +
        "        type: scirpt\n              ^\n  did you mean 'script'?",
    ],
    [
      'no step type',
      step('run: x'),
      `recipe.yaml:2:5: steps[0].type is missing: it must be one of ${typeNames}\n      - name: one\n        ^`,
    ],
    [
      'no name',
      'steps:\n  - type: script\n    run: x\n',
      'recipe.yaml:2:5: steps[0].name is missing (a text)\n      - type: script\n        ^',
    ],
    ['no steps', 'name: x\n', 'recipe.yaml:1:1: steps is missing (a list)\n    name: x\n    ^'],
    ['an empty list of steps', 'steps: []\n', 'recipe.yaml:1:8: steps must not be empty\n    steps: []\n           ^'],
    ['an empty file', '', 'recipe.yaml:1:1: the document must be a mapping, but is empty\n    \n    ^'],
    ['a list for a recipe', '- a\n', 'recipe.yaml:1:1: the document must be a mapping, but is a list\n    - a\n    ^'],
    [
      'a wrong type',
      script('retries: many'),
      "recipe.yaml:5:14: steps[0].retries must be a number, but is 'many'\n        retries: many\n                 ^",
    ],
    [
      'a number out of bounds',
      script('retries: 11'),
      'recipe.yaml:5:14: steps[0].retries must be at most 10, but is the number 11\n        retries: 11\n                 ^',
    ],
    [
      'a duration that is none',
      script('timeout: soon'),
      'recipe.yaml:5:14: steps[0].timeout must be whole seconds or a text like "10m", from 1 second to 24 hours\n' +
        '        timeout: soon\n                 ^',
    ],
    [
      'a name with capitals',
      'steps:\n  - name: One\n    type: script\n    run: x\n',
      'recipe.yaml:2:11: steps[0].name must consist of a-z, 0-9 and -, at most 63 characters, without - at either end\n' +
        '      - name: One\n              ^',
    ],
    [
      'an unquoted mode',
      template('mode: 0644'),
      'recipe.yaml:6:11: steps[0].mode must be a quoted octal string such as "0644": unquoted, YAML reads it as a decimal number and the leading 0 is lost\n' +
        '        mode: 0644\n              ^',
    ],
    [
      'a mode that is none',
      template("mode: 'u=rw'"),
      `recipe.yaml:6:11: steps[0].mode must be a quoted octal string such as "0644"\n        mode: 'u=rw'\n              ^`,
    ],
    [
      'baking what runs at every boot',
      script('when: boot\nbake: always'),
      'recipe.yaml:6:11: steps[0].bake cannot be always for a step with when: boot\n        bake: always\n              ^\n' +
        '  only steps with when: change can be baked',
    ],
    [
      'run and file',
      script('file: recipe.yaml'),
      "recipe.yaml:5:11: steps[0].file cannot stand beside 'run'\n        file: recipe.yaml\n              ^\n  remove 'run' or 'file'",
    ],
    [
      'neither run nor file',
      step('type: script'),
      "recipe.yaml:2:5: steps[0] must have 'run' or 'file'\n      - name: one\n        ^",
    ],
    [
      'a missing file',
      step('type: script\nfile: go.sh'),
      "recipe.yaml:4:11: steps[0].file names 'go.sh', which does not exist\n        file: go.sh\n              ^",
    ],
    [
      'a path out of the folder',
      script('inputs: [../secret]'),
      "recipe.yaml:5:14: steps[0].inputs[0] leaves the recipe folder: '../secret'\n        inputs: [../secret]\n                 ^",
    ],
    [
      'an absolute path',
      script('inputs: [/etc/passwd]'),
      "recipe.yaml:5:14: steps[0].inputs[0] must be relative to the recipe folder, but is '/etc/passwd'\n" +
        '        inputs: [/etc/passwd]\n                 ^',
    ],
    [
      'the folder itself',
      script('inputs: [./]'),
      'recipe.yaml:5:14: steps[0].inputs[0] names the recipe folder itself\n        inputs: [./]\n                 ^\n' +
        '  list the files and folders that the step needs',
    ],
    [
      'an unknown need',
      `${script('needs: []')}  - {name: tow, type: script, run: x, needs: [oen]}\n`,
      "recipe.yaml:6:47: step 'tow' needs 'oen', which does not exist\n" +
        "      - {name: tow, type: script, run: x, needs: [oen]}\n                                                  ^\n  did you mean 'one'?",
    ],
    [
      'a need of itself',
      script('needs: [one]'),
      "recipe.yaml:5:13: step 'one' needs itself\n        needs: [one]\n                ^",
    ],
    [
      'a name twice',
      `${script('needs: []')}  - {name: one, type: script, run: x}\n`,
      "recipe.yaml:6:12: there are two steps named 'one'\n      - {name: one, type: script, run: x}\n               ^\n  the first is in line 2",
    ],
    [
      'an environment variable over two lines',
      script('env:\n  A: |\n    one\n    two'),
      'recipe.yaml:7:9: steps[0].env.A must be one line\n            one\n            ^\n  put longer texts into a file under inputs',
    ],
    [
      'a reserved environment variable',
      script('env: {PARBAKE_PHASE: x}'),
      'recipe.yaml:5:26: steps[0].env.PARBAKE_PHASE uses a name that the agent sets itself: names must not begin with PARBAKE_\n' +
        '        env: {PARBAKE_PHASE: x}\n                             ^',
    ],
    [
      'an unknown parameter in a value',
      `params: {port: 80}\n${script('env: {PORT: "<{{prot}}>"}')}`,
      "recipe.yaml:6:21: there is no parameter 'prot'\n        env: {PORT: \"<{{prot}}>\"}\n                        ^\n  did you mean 'port'?",
    ],
    [
      'a parameter without parameters',
      script('env: {PORT: "{{port}}"}'),
      'recipe.yaml:5:20: there is no parameter \'port\'\n        env: {PORT: "{{port}}"}\n                       ^\n' +
        '  declare it under params in recipe.yaml',
    ],
    [
      'a parameter named like a helper',
      `params: {sh: 1}\n${script('retries: 0')}`,
      "recipe.yaml:1:10: params.sh cannot be named so: templates read 'sh' as their own word\n    params: {sh: 1}\n             ^",
    ],
    [
      'a default of another type',
      `params: {a: {type: number, default: x}}\n${script('retries: 0')}`,
      'recipe.yaml:1:37: params.a.default must be a number, but is a string\n    params: {a: {type: number, default: x}}\n' +
        '                                        ^',
    ],
    [
      'a bad package name',
      step('type: packages\ninstall: [nginx, "a b"]'),
      'recipe.yaml:4:22: steps[0].install[1] must be a package name, or name=version to pin it\n        install: [nginx, "a b"]\n' +
        '                         ^',
    ],
    [
      'a relative destination',
      step('type: template\ncontent: x\ndestination: etc/x'),
      'recipe.yaml:5:18: steps[0].destination must be an absolute path of a file, without . and .. parts\n' +
        '        destination: etc/x\n                     ^',
    ],
    [
      'an interval and a cron expression',
      "every: 5\nschedule: '0 3 * * *'\nsteps:\n  - {name: a, type: script, run: x}\n",
      "recipe.yaml:2:11: schedule cannot stand beside every\n    schedule: '0 3 * * *'\n              ^",
    ],
    [
      'a cron expression that is none',
      "schedule: '0 24 * * *'\nsteps:\n  - {name: a, type: script, run: x}\n",
      "recipe.yaml:1:11: schedule has no valid hour: '24'\n    schedule: '0 24 * * *'\n              ^",
    ],
    [
      'a splay of an interval',
      'schedule: 30m\nsplay: 5m\nsteps:\n  - {name: a, type: script, run: x}\n',
      'recipe.yaml:2:8: splay goes with a cron expression only\n    splay: 5m\n           ^\n  with an interval, hosts spread over all of it',
    ],
    [
      'a reboot that would never end',
      'steps:\n  - {name: a, type: script, run: x, when: boot, reboot: true}\n',
      `recipe.yaml:2:57: steps[0].reboot cannot be true for a step with when: boot
      - {name: a, type: script, run: x, when: boot, reboot: true}
                                                            ^
  the host would never stop rebooting`,
    ],
    ['bad YAML', 'steps: [\n', 'recipe.yaml:2:1: bad YAML: deficient indentation\n    \n    ^'],
  ])('%s', async (_name, yaml, expected) => {
    expect(await findings(yaml)).toBe(expected)
  })
})

describe('cycles', () => {
  it('are printed as written', async () => {
    const yaml = `steps:
  - {name: zero, type: script, run: x, needs: [c]}
  - {name: a, type: script, run: x, needs: [b]}
  - {name: b, type: script, run: x, needs: [c]}
  - {name: c, type: script, run: x, needs: [a]}
`
    expect(await findings(yaml)).toBe(
      'recipe.yaml:3:44: the steps need each other in a cycle: a -> b -> c -> a\n' +
        '      - {name: a, type: script, run: x, needs: [b]}\n' +
        '                                               ^\n' +
        '  remove one of these needs',
    )
  })

  it('explain a step that needs all before it', async () => {
    const yaml = `steps:
  - {name: a, type: script, run: x, needs: [b]}
  - {name: b, type: script, run: x}
`
    expect(await findings(yaml)).toBe(
      'recipe.yaml:2:44: the steps need each other in a cycle: a -> b -> a\n' +
        '      - {name: a, type: script, run: x, needs: [b]}\n' +
        '                                               ^\n' +
        "  'b' has no needs, so it needs every step before it: give it its own list",
    )
  })
})

describe('files', () => {
  const yaml = script('inputs: [in]')
  const at = (message: string) =>
    `recipe.yaml:5:14: steps[0].inputs[0] ${message}\n        inputs: [in]\n                 ^`

  it.each<[string, string, string]>([
    ['a link out of the folder', '/etc', "leaves the recipe folder through a symbolic link: 'in'"],
    ['a dangling link', 'nowhere', "names 'in', which does not exist"],
    ['a link to itself', 'in', "names 'in', a symbolic link that leads back to itself"],
  ])('%s', async (_name, target, message) => {
    await using folder = await recipeFolder({ 'recipe.yaml': yaml })
    await symlink(target, join(folder.path, 'in'))
    const result = await inspectRecipe(folder.path)
    expect(result.ok ? '' : render(result.problems, folder.path)).toBe(at(message))
  })

  it('a link out of the folder deep inside an input', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': yaml, 'in/ok': '1' })
    await symlink('../../..', join(folder.path, 'in', 'up'))
    const result = await inspectRecipe(folder.path)
    expect(result.ok ? '' : render(result.problems, folder.path)).toBe(
      at("leaves the recipe folder through a symbolic link: 'in/up'"),
    )
  })

  it('a folder that contains itself', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': yaml, 'in/ok': '1' })
    await symlink('.', join(folder.path, 'in', 'loop'))
    const result = await inspectRecipe(folder.path)
    expect(result.ok ? '' : render(result.problems, folder.path)).toBe(
      at("holds a symbolic link that leads back into itself: 'in/loop'"),
    )
  })

  it('a name that no tar can hold everywhere', async () => {
    await using folder = await recipeFolder({ 'recipe.yaml': yaml })
    await mkdir(join(folder.path, 'in'))
    await writeFile(join(folder.path, 'in', 'bröt'), '')
    const result = await inspectRecipe(folder.path)
    expect(result.ok ? '' : render(result.problems, folder.path)).toBe(
      `${at('holds a file whose name cannot be packed: "in/bröt"')}\n  use printable ASCII, at most 200 bytes`,
    )
  })

  it.each<[string, Buffer, string]>([
    [
      'a binary script',
      Buffer.from([0x7f, 0x45, 0xff, 0xfe]),
      "names 'go', which is no UTF-8 text\n    file: go\n    ^\n  put binary files under inputs and call them from a script",
    ],
    [
      'a script with CRLF',
      Buffer.from('#!/bin/sh\r\ntrue\r\n'),
      'has Windows line ends, which shells take as part of commands\n    file: go\n    ^\n  save it with LF line ends',
    ],
    [
      'a script with a byte order mark',
      Buffer.from('\uFEFF#!/bin/sh\n'),
      'starts with a byte order mark, so that no interpreter finds its #! line\n    file: go\n    ^\n  save it as UTF-8 without BOM',
    ],
  ])('%s', async (_name, content, message) => {
    const expected = message.replace('    file: go\n    ^', '        file: go\n              ^')
    expect(await findings({ 'recipe.yaml': step('type: script\nfile: go'), go: content })).toBe(
      `recipe.yaml:4:11: steps[0].file ${expected}`,
    )
  })

  it('the folder name where no recipe name is given', async () => {
    await using folder = await recipeFolder({ 'My Recipe/recipe.yaml': script('retries: 0') })
    const result = await inspectRecipe(join(folder.path, 'My Recipe'))
    expect(result.ok ? '' : render(result.problems, join(folder.path, 'My Recipe'))).toBe(
      "recipe.yaml:1:1: the folder's name 'My Recipe' cannot be the recipe's name: it must consist of a-z, 0-9 and -, " +
        'at most 63 characters, without - at either end\n    steps:\n    ^\n  give the recipe a name of its own with the key name',
    )
  })
})

it('reports all problems at once, in the order of the file, also in templates', async () => {
  const yaml = `every: never
params: {port: 80, flag: {defalt: 1}}
steps:
  - name: a
    type: packages
    install: []
    needs: [c]
  - name: c
    type: template
    template: site.conf
    destination: /etc/x
    owner: 12
    needs: [a]
    tiemout: 3
  - name: d
    type: script
    run: 'true'
    inputs: [gone]
    env: {1A: x, B: [1]}
    when: sometimes
`
  expect(await findings({ 'recipe.yaml': yaml, 'site.conf': 'listen {{port}}\n  name {{sh nmae}};\n' })).toBe(
    `recipe.yaml:1:8: every must be whole minutes or a text like "15m", from 1 minute to 24 hours
    every: never
           ^
recipe.yaml:2:26: params.flag.default is missing
    params: {port: 80, flag: {defalt: 1}}
                             ^
recipe.yaml:2:27: unknown key 'defalt' in params.flag
    params: {port: 80, flag: {defalt: 1}}
                              ^
  did you mean 'default'?
recipe.yaml:6:14: steps[0].install must not be empty
        install: []
                 ^
recipe.yaml:7:12: the steps need each other in a cycle: a -> c -> a
        needs: [c]
               ^
  remove one of these needs
recipe.yaml:12:12: steps[1].owner must be a text, but is the number 12
        owner: 12
               ^
recipe.yaml:14:5: unknown key 'tiemout' in steps[1]
        tiemout: 3
        ^
  did you mean 'timeout'?
recipe.yaml:18:14: steps[2].inputs[0] names 'gone', which does not exist
        inputs: [gone]
                 ^
recipe.yaml:19:11: steps[2].env.1A is no name of an environment variable (letters, digits and _)
        env: {1A: x, B: [1]}
              ^
recipe.yaml:19:21: steps[2].env.B must be a text, a number, true or false
        env: {1A: x, B: [1]}
                        ^
recipe.yaml:20:11: steps[2].when must be one of change, instance, boot, always, but is 'sometimes'
        when: sometimes
              ^
site.conf:2:13: there is no parameter 'nmae'
      name {{sh nmae}};
                ^
  known here: port, flag`,
  )
})
