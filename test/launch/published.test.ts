import { expect, it } from 'vitest'
import { launch } from '../../src/launch/launch.ts'
import { loadConfig } from '../../src/load-config.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { tempDir } from '../../src/system/temp.ts'

it('says before a boot that nothing is published', async () => {
  await using dir = await tempDir('launch-test')
  const env = { HOME: dir.path, PARBAKE_STATE: dir.path, PARBAKE_CACHE: dir.path }
  const config = await loadConfig(dir.path, undefined, env)
  const context = { config, reporter: silentReporter, signal: new AbortController().signal }
  const disk = { path: '/nowhere', imageId: '', base: 'debian-12' }
  const options = { recipe: { name: 'web', everyMinutes: 15 }, disk, channel: 'canary' }
  await expect(launch(context, options)).rejects.toMatchObject({
    code: 'not-published',
    message: expect.stringContaining("nothing is published of 'web' on the channel canary") as string,
  })
})
