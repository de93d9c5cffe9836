import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Collector } from '../../src/import/collector.ts'
import type { Imported } from '../../src/import/model.ts'
import { parseHcl, type Expression } from '../../src/import/packer/hcl.ts'
import { addPacker } from '../../src/import/packer/import.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeTree, type Tree } from '../recipe/support.ts'
import { carriedLines, lostLines, scriptOf } from './support.ts'

async function template(text: string, tree: Tree = {}): Promise<Imported> {
  await using dir = await tempDir('packer')
  await writeTree(dir.path, tree)
  const to = new Collector()
  await addPacker({ file: 'x.pkr.hcl', text, line: 1 }, join(dir.path, 'x.pkr.hcl'), to)
  return to.result()
}

const value = (text: string): Expression => {
  const found = parseHcl({ file: 'x', text: `a = ${text}\nb = 1\n`, line: 1 }).attributes
  expect(found.map(({ name }) => name)).toEqual(['a', 'b'])
  return found[0]?.value ?? { kind: 'other', text: '', line: 0 }
}
const text = (...pieces: (string | Expression)[]) => ({ kind: 'text', pieces, line: 1 })
const reference = (path: string) => ({ kind: 'reference', path, line: 1 }) as const

describe('values of HCL2', () => {
  test.each([
    ['"a\\n\\"b\\" \\u00e9 $${c} %%{d}"', text('a\n"b" é ${c} %{d}')],
    ['"${var.a}-${path.root}"', text(reference('var.a'), '-', reference('path.root'))],
    ['"a ${x ? 1 : 2} b"', text('a ', { kind: 'other', text: 'x ? 1 : 2', line: 1 }, ' b')],
    ['-1.5e3', { kind: 'scalar', value: -1500, line: 1 }],
    ['true', { kind: 'scalar', value: true, line: 1 }],
    ['null', { kind: 'scalar', value: null, line: 1 }],
    [
      '[1, # one\n 2,\n]',
      { kind: 'list', items: [1, 2].map((value, index) => ({ kind: 'scalar', value, line: index + 1 })), line: 1 },
    ],
    [
      '{ a = "b", "c d": [] }',
      {
        kind: 'object',
        entries: [
          ['a', text('b')],
          ['c d', { kind: 'list', items: [], line: 1 }],
        ],
        line: 1,
      },
    ],
    ['join(", ", var.list)', { kind: 'call', name: 'join', args: [text(', '), reference('var.list')], line: 1 }],
    ['[for x in y : x]', { kind: 'other', text: '[for x in y : x]', line: 1 }],
    ['a + "b }" + (c\n)', { kind: 'other', text: 'a + "b }" + (c\n)', line: 1 }],
    ['<<EOT\n  a ${var.b}\\n\n c\nEOT', text('  a ', { ...reference('var.b'), line: 2 }, '\\n\n c\n')],
    ['<<-EOT\n    a\n      b\n    EOT', text('a\n  b\n')],
  ])('%s', (source, wanted) => {
    expect(value(source)).toEqual(wanted)
  })

  test.each([
    ['a = "b\n', 'x:1:7: bad HCL: a text is not closed'],
    ['a {\n', "bad HCL: a block is not closed with '}'"],
    ['a = [1\n', "bad HCL: ']' is missing"],
    ['a = <<E\nb\n', 'bad HCL: the here-document is not closed with E'],
    ['a = \n\n', 'bad HCL: a value is missing'],
    ['= 1', "bad HCL: '=' is not expected here"],
  ])('%j is an error with a position', (source, wanted) => {
    let found: unknown
    try {
      parseHcl({ file: 'x', text: source, line: 1 })
    } catch (error) {
      found = error
    }
    const { message, location } = found as { message: string; location: { file: string; line: number; column: number } }
    expect(`${location.file}:${location.line}:${location.column}: ${message}`).toContain(wanted)
  })
})

describe('a template', () => {
  test('every block and provisioner is carried over or listed', async () => {
    const imported = await template(`
packer { required_version = ">= 1.9" }
variable "a" { default = "1" }
variable "b" {}
variable "c" {
  default   = "x"
  sensitive = true
}
variables { d = "4" }
locals { e = var.a }
data "http" "f" { url = "https://example.com" }
source "null" "g" {}
strange "h" {}
build {
  name    = "i"
  sources = ["null.g"]
  source "null.g" {}
  provisioner "shell" {
    inline          = ["echo \${local.e} \${var.d}"]
    execute_command = "sudo {{.Path}}"
    override        = { g = {} }
  }
  provisioner "file" {
    source      = "missing"
    destination = "/etc/j"
  }
  provisioner "file" {
    source      = "/etc/k"
    destination = "k"
    direction   = "download"
  }
  provisioner "shell" { inline = ["echo \${build.ID}"] }
  provisioner "shell" { script = "missing.sh" }
  provisioner "chef-solo" {}
  post-processor "l" {}
  post-processors {
    post-processor "m" {}
  }
  error-cleanup-provisioner "shell-local" {}
}
`)
    expect(carriedLines(imported)).toEqual(['3 variable a -> -', '9 variable d -> -', '18 provisioner shell -> echo'])
    expect(lostLines(imported)).toEqual([
      '2 packer',
      '4 variable b',
      '5 variable c',
      '11 data http f',
      '12 source null g',
      '13 strange h',
      '15 build name',
      '16 build sources',
      '17 source null.g',
      '20 shell: execute_command',
      '21 shell: override',
      '23 provisioner file /etc/j',
      '27 provisioner file k',
      '32 provisioner shell',
      '33 provisioner shell missing.sh',
      '34 provisioner chef-solo',
      '35 post-processor l',
      '36 post-processors',
      '39 error-cleanup-provisioner shell-local',
    ])
    expect(imported.params.map(({ name, default: text }) => [name, text])).toEqual([
      ['a', '1'],
      ['b', ''],
      ['c', ''],
      ['d', '4'],
    ])
  })

  test('variables are read from the environment where that is the same, else they stand as they are', async () => {
    const lines = [
      'echo ${var.v} \\"${var.v}\\"',
      "echo '${var.v}'",
      'cat <<E\\n${var.v}\\nE',
      '# ${var.v}',
      'echo ${var.words}',
    ]
    const { steps } = await template(`
variable "v" { default = "1.2" }
variable "words" { default = "a; b" }
build {
  provisioner "shell" {
    inline = [${lines.map((line) => `"${line}"`).join(', ')}]
  }
}
`)
    expect(steps[0]?.keys).toEqual({
      type: 'script',
      env: { PKR_VAR_v: '{{v}}' },
      run: `#!/bin/sh -e
cd || exit 1
echo \${PKR_VAR_v} "\${PKR_VAR_v}"
echo '1.2'
cat <<E
1.2
E
# 1.2
echo a; b
`,
    })
  })

  test('environment, retries and time limits', async () => {
    const { steps, notCarried } = await template(`
variable "v" { default = "x" }
build {
  provisioner "shell" {
    environment_vars = ["A=\${var.v} y", "B={{c}}", "D", "E=\${build.ID}"]
    env              = { F = "g" }
    inline           = ["ls"]
    inline_shebang   = "/bin/bash -e"
    max_retries      = 3
    timeout          = "5m"
  }
  provisioner "shell" {
    inline      = ["ls"]
    max_retries = 30
    timeout     = "never"
  }
}
`)
    expect(steps.map(({ keys }) => keys)).toEqual([
      {
        ...{ type: 'script', retries: 3, timeout: '5m', env: { A: '{{v}} y', F: 'g' } },
        run: "#!/bin/bash -e\ncd || exit 1\nexport B='{{c}}'\nls\n",
      },
      { type: 'script', run: '#!/bin/sh -e\ncd || exit 1\nls\n' },
    ])
    expect(notCarried.map(({ what }) => what)).toEqual([
      'shell: environment_vars',
      'shell: environment_vars E',
      'shell: max_retries',
      'shell: timeout',
    ])
  })

  test('uploads: folders, names, permissions, and what a script finds in /tmp', async () => {
    const imported = await template(
      `
variable "v" { default = "x" }
build {
  provisioner "file" {
    source      = "\${path.root}/folder"
    destination = "/srv"
  }
  provisioner "file" {
    source      = "folder/"
    destination = "/opt/all"
  }
  provisioner "file" {
    sources     = ["one.sh", "folder/deep/two"]
    destination = "/tmp/bin/"
  }
  provisioner "file" {
    content     = "v=\${var.v}\\n"
    destination = "/etc/v"
  }
  provisioner "shell" { inline = ["/tmp/bin/one.sh"] }
}
`,
      { 'one.sh*': 'one', 'folder/a': 'a', 'folder/deep/two': 'two' },
    )
    expect(imported.steps.map(({ keys }) => [keys['type'], keys['destination'], keys['mode']])).toEqual([
      ['file', '/srv/folder/a', '0644'],
      ['file', '/srv/folder/deep/two', '0644'],
      ['file', '/opt/all/a', '0644'],
      ['file', '/opt/all/deep/two', '0644'],
      ['file', '/tmp/bin/two', '0644'],
      ['template', '/etc/v', '0644'],
      ['script', undefined, undefined],
    ])
    expect(imported.steps[5]?.keys['content']).toBe('v={{v}}\n')
    const script = imported.steps[6]?.name ?? ''
    expect(scriptOf(imported, script)).toContain(
      `install -m 0755 -o 'root' -g 'root' "$inputs"/'files/tmp/bin/one.sh' '/tmp/bin/one.sh'\n`,
    )
  })
})
