import { expect, it } from 'vitest'
import { waitForReport } from '../../src/launch/wait-for-report.ts'
import { openDirectoryStore } from '../../src/store/directory.ts'
import { tempDir } from '../../src/system/temp.ts'
import { fixture } from '../profile/support.ts'

const awaited = {
  recipe: 'web',
  hostname: 'web-12345678',
  run: 'aaaa-1',
  seconds: 0,
  signal: new AbortController().signal,
}
const today = new Date().toISOString().slice(0, 10)

it.each([
  ['the name it was launched with', 'web-12345678-0011'],
  ['a name that a step has given it', 'shop.example-0011'],
])('finds the report of a host with %s', async (_, host) => {
  await using dir = await tempDir('report')
  const store = openDirectoryStore(dir.path)
  const report = { ...fixture('runtime'), host, run: awaited.run }
  await store.put(`reports/web/dt=${today}/${host}-aaaa-1.json`, JSON.stringify(report))
  await store.put(`reports/web/dt=${today}/web-12345678-0011-bbbb-2.json`, JSON.stringify({ ...report, run: 'bbbb-2' }))
  expect((await waitForReport(store, awaited)).run).toBe('aaaa-1')
})

it('says what is wrong where none arrives', async () => {
  await using dir = await tempDir('report')
  await expect(waitForReport(openDirectoryStore(dir.path), awaited)).rejects.toThrow(
    'web-12345678 has converged, but its report did not reach the store',
  )
})
