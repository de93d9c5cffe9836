import { expect, it } from 'vitest'
import { needBase } from '../../src/base/need.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Event } from '../../src/report/events.ts'
import { tempDir } from '../../src/system/temp.ts'

/** What it says, and how it ends, with an empty cache and a signal that is given already: nothing is built. */
async function needed(name: string) {
  await using dir = await tempDir('need-test')
  const config = await loadConfig(dir.path, undefined, { HOME: dir.path, PARBAKE_CACHE: dir.path })
  const notes: string[] = []
  const reporter = {
    emit: (event: Event) => void (event.type === 'note' && notes.push(event.text)),
    close: () => {},
  }
  const error: unknown = await needBase(name, { config, reporter, signal: AbortSignal.abort() }).catch(
    (thrown: unknown) => thrown,
  )
  return { notes, error }
}

it('sets out to build what can be built by name', async () => {
  const { notes, error } = await needed('debian-12')
  expect(notes).toEqual(["there is no base 'debian-12' yet: building it, this once"])
  expect(error).not.toMatchObject({ code: 'base-missing' })
})

it('says of anything else that it is missing', async () => {
  const { notes, error } = await needed('acme-7')
  expect(notes).toEqual([])
  expect(error).toMatchObject({ code: 'base-missing' })
})
