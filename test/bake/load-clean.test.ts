import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { bootstrapScript } from '../../src/bake/guest-files.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { shells, type ShellName } from '../support/agent.ts'

/** Stand-ins for what loads cloud-init; the first argument is the program that bake.sh wrote. */
const loaders = {
  'that ends at once': 'exit 1',
  'that gives up when it is asked': 'read -r words; exit 1',
  'that fails': 'read -r words; echo 3 >"${1%/*}/clean.code"',
  'that works': 'read -r words; echo "loaded $words" >>"${1%/*}/said"; echo 0 >"${1%/*}/clean.code"',
} as const

/** What was run to clean, by the loaded cloud-init or by one of its own. */
async function clean(shell: ShellName, loader: keyof typeof loaders): Promise<string> {
  await using folder = await tempDir('clean')
  const program = async (name: string, text: string) => {
    await writeFile(join(folder.path, name), `#!/bin/sh\n${text}\n`)
    await chmod(join(folder.path, name), 0o755)
  }
  await program('python3', loaders[loader])
  await program('cloud-init', `echo "own $*" >>${folder.path}/said`)
  const [functionText] = /^load_clean\(\) \{$[^]*?^\}$/m.exec(bootstrapScript('bake.sh')) ?? []
  const script = `HERE=${folder.path}\n${functionText}\nload_clean 3>/dev/null 4>/dev/null 5>/dev/null\nsh "$HERE/clean.sh" --logs --seed\n`
  const [command = '', ...options] = [...shells[shell], '-c', script]
  await run(command, options, { env: { PATH: `${folder.path}:${process.env['PATH'] ?? ''}` } })
  return (await readFile(join(folder.path, 'said'), 'utf8')).trim()
}

describe.each(Object.keys(shells) as ShellName[])("the seal's clean under %s", (shell) => {
  it('is that of the loaded cloud-init', async () => {
    expect(await clean(shell, 'that works')).toBe('loaded clean --logs --seed')
  })

  it.each(['that ends at once', 'that gives up when it is asked', 'that fails'] as const)(
    'is as without it beside one %s',
    async (loader) => {
      expect(await clean(shell, loader)).toBe('own clean --logs --seed')
    },
  )
})
