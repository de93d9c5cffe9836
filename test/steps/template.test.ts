import { userInfo } from 'node:os'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { run, type RunResult } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeTree } from '../recipe/support.ts'
import { renderType } from './support.ts'

const { uid, gid } = userInfo()
const me = `${uid}:${gid}`

async function apply(
  folder: string,
  spec: Readonly<Record<string, unknown>>,
  shell: readonly string[] = ['dash'],
): Promise<RunResult> {
  const { script, files } = await renderType('template', { content: 'hello\n', owner: me, ...spec })
  const work = join(folder, 'step', 'files')
  await writeTree(join(folder, 'step'), { 'run*': script })
  await writeTree(work, Object.fromEntries(files.map((file) => [file.path, file.content])))
  const [command = '', ...args] = shell
  return run(command, [...args, '../run'], { cwd: work, allowFailure: true })
}

describe('template', () => {
  it.each([[['dash']], [['bash']], [['busybox', 'sh']]])(
    'writes the file with owner and mode under %j',
    async (shell) => {
      await using dir = await tempDir('template-test')
      const destination = join(dir.path, "it's new", 'sub', 'x.conf')
      const result = await apply(dir.path, { destination, mode: '640' }, shell)
      expect([result.exitCode, result.stderr]).toEqual([0, ''])
      expect(await readFile(destination, 'utf8')).toBe('hello\n')
      const { mode, uid: owner, gid: group } = await stat(destination)
      expect([(mode & 0o7777).toString(8), owner, group]).toEqual(['640', uid, gid])
      expect(((await stat(dirname(destination))).mode & 0o777).toString(8)).toBe('755')
      expect(await readdir(dirname(destination))).toEqual(['x.conf'])
    },
  )

  it('replaces a file, default mode 0644', async () => {
    await using dir = await tempDir('template-test')
    const destination = join(dir.path, 'x.conf')
    await writeFile(destination, 'old', { mode: 0o600 })
    expect((await apply(dir.path, { destination })).exitCode).toBe(0)
    expect(await readFile(destination, 'utf8')).toBe('hello\n')
    expect(((await stat(destination)).mode & 0o777).toString(8)).toBe('644')
  })

  it('says which owner is missing, and leaves the old file and nothing else', async () => {
    await using dir = await tempDir('template-test')
    const destination = join(dir.path, 'etc', 'x.conf')
    await writeTree(dir.path, { 'etc/x.conf': 'old' })
    const result = await apply(dir.path, { destination, owner: 'nobody-here:nor-here' })
    expect(result.exitCode).toBe(1)
    expect(result.stderr).toContain(
      `parbake: cannot give ${destination} to nobody-here:nor-here: is there no such user or group? Make it in a step that this one needs`,
    )
    expect(await readFile(destination, 'utf8')).toBe('old')
    expect(await readdir(dirname(destination))).toEqual(['x.conf'])
  })

  it('does not write into a folder', async () => {
    await using dir = await tempDir('template-test')
    const destination = join(dir.path, 'x.conf')
    await mkdir(destination)
    const result = await apply(dir.path, { destination })
    expect([result.exitCode, result.stderr]).toEqual([
      1,
      `parbake: cannot write ${destination}: a folder has this name`,
    ])
  })

  it('says which folder it cannot make', async () => {
    await using dir = await tempDir('template-test')
    await writeTree(dir.path, { file: 'x' })
    const destination = join(dir.path, 'file', 'sub', 'x.conf')
    const result = await apply(dir.path, { destination })
    expect(result.exitCode).toBe(1)
    expect(result.stderr).toContain(`parbake: cannot make the folder of ${destination}`)
  })

  it('is clean to shellcheck', async () => {
    await using dir = await tempDir('template-test')
    const { script } = await renderType('template', { content: 'x', destination: '/etc/x.conf' })
    await writeTree(dir.path, { run: script })
    await run('shellcheck', ['-s', 'dash', join(dir.path, 'run')])
  })

  it('keeps the content in a file of the step', async () => {
    const { files } = await renderType('template', { template: 'x.conf', destination: '/etc/x.conf' })
    expect(files).toEqual([{ path: '.parbake/content', executable: false, content: Buffer.from('content of x.conf') }])
  })
})
