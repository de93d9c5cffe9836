import { afterAll, beforeAll } from 'vitest'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { openStore } from '../../src/store/open.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { storeContract } from './contract.ts'

let dir: TempDir
beforeAll(async () => {
  dir = await tempDir('directory')
})
afterAll(() => dir[Symbol.asyncDispose]())

storeContract('directory', (place) => openStore(pathToFileURL(join(dir.path, place)).href))
