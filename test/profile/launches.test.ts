import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readLaunches, recordLaunch } from '../../src/profile/launches.ts'
import { tempDir } from '../../src/system/temp.ts'
import { launch } from './support.ts'

describe('launch records', () => {
  it('are read back oldest first, per recipe', async () => {
    await using dir = await tempDir('launches')
    const late = launch({ run: 'late', at: '2026-11-20T12:00:00Z' })
    const early = launch({ run: 'early', at: '2026-11-20T11:00:00Z', image: 'web-1' })
    for (const record of [late, early, launch({ recipe: 'db' })]) await recordLaunch(dir.path, record)
    expect(await readLaunches(dir.path, 'web')).toEqual([early, late])
    const text = await readFile(join(dir.path, 'launches/web/late.json'), 'utf8')
    expect(JSON.parse(text)).toEqual(late)
  })

  it('are none where nothing was launched', async () => {
    await using dir = await tempDir('launches')
    expect(await readLaunches(dir.path, 'web')).toEqual([])
  })

  it('leave out broken files', async () => {
    await using dir = await tempDir('launches')
    const path = await recordLaunch(dir.path, launch({ run: 'good' }))
    await writeFile(join(path, '../torn.json'), '{"run": "to')
    await writeFile(join(path, '../other.json'), '{"run": "other"}')
    expect((await readLaunches(dir.path, 'web')).map((each) => each.run)).toEqual(['good'])
  })

  it.each([[{ run: '../x' }], [{ recipe: '..' }], [{ run: '' }], [{ at: 'yesterday' }], [{ launchSeconds: -1 }]])(
    'refuse %j',
    async (changes) => {
      await using dir = await tempDir('launches')
      await expect(recordLaunch(dir.path, launch(changes))).rejects.toThrow()
      expect(await readLaunches(dir.path, 'web')).toEqual([])
    },
  )
})
