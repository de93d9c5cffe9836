import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { DirectoryFiles } from '../../src/store/directory-files.ts'
import { Uploads } from '../../src/store/server/uploads.ts'
import { tempDir } from '../../src/system/temp.ts'

// A client that gives up does not wait for the answers to its parts.
it('an upload that is aborted while parts of it arrive leaves nothing', async () => {
  await using dir = await tempDir('uploads')
  const uploads = new Uploads(new DirectoryFiles(dir.path))
  await uploads.prepare()
  for (let round = 0; round < 100; round += 1) {
    const upload = await uploads.find(await uploads.create('k'), 'k')
    const part = async (number: number) => {
      const staged = join(dir.path, `part-${number}`)
      await writeFile(staged, 'x')
      return uploads.addPart(upload, number, staged, 'a'.repeat(32))
    }
    for (const number of [1, 2, 3]) await part(number)
    const [aborted] = await Promise.allSettled([uploads.abort(upload), ...[4, 5, 6, 7].map(part)])
    expect(aborted).toEqual({ status: 'fulfilled', value: undefined })
  }
  expect(await readdir(join(dir.path, '.parbake', 'uploads'))).toEqual([])
})
