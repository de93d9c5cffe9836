import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { silentReporter } from '../../src/report/reporters.ts'
import { run } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'
import { writeSeed, type SeedOptions } from '../../src/user-data/seed.ts'
import { sampleUserData } from './support.ts'

const context = { reporter: silentReporter, signal: new AbortController().signal }
const options: SeedOptions = { recipe: 'web', userData: sampleUserData('nocloud', 'text'), instanceId: 'iid-1' }

describe('a NoCloud seed', () => {
  it('is a folder with all that is asked for over HTTP, and the QEMU argument that names it', async () => {
    await using dir = await tempDir('seed-folder')
    const path = join(dir.path, 'new', 'seed')
    const written = await writeSeed(path, { ...options, url: 'http://10.0.2.2:8080/a,b' }, context)
    expect(written).toEqual({
      kind: 'folder',
      path,
      instanceId: 'iid-1',
      hostname: 'web-iid-1',
      qemu: ['-smbios', 'type=1,serial=ds=nocloud-net;s=http://10.0.2.2:8080/a,,b/'],
      kernel: 'ds=nocloud-net;s=http://10.0.2.2:8080/a,b/',
    })
    const read = (name: string) => readFile(join(path, name), 'utf8')
    expect(await read('user-data')).toBe(options.userData.text)
    expect(await read('meta-data')).toBe('instance-id: iid-1\nlocal-hostname: web-iid-1\n')
    expect(await read('network-config')).toBe('')
    expect(await read('vendor-data')).toBe('')
    expect((await stat(join(path, 'user-data'))).mode & 0o777).toBe(0o600)
  })

  it('takes the usual URL, a new instance id and the given network-config', async () => {
    await using dir = await tempDir('seed-folder')
    const make = async () => {
      const { instanceId: _, ...others } = options
      return writeSeed(dir.path, { ...others, networkConfig: 'version: 2\n', hostname: 'a.example.org' }, context)
    }
    const [one, other] = [await make(), await make()]
    expect(one.kernel).toBe('ds=nocloud-net;s=http://10.0.2.2:8000/')
    expect(one.instanceId).not.toBe(other.instanceId)
    expect(await readFile(join(dir.path, 'network-config'), 'utf8')).toBe('version: 2\n')
    expect(await readFile(join(dir.path, 'meta-data'), 'utf8')).toBe(
      `instance-id: ${other.instanceId}\nlocal-hostname: a.example.org\n`,
    )
  })

  it('names hosts within what a host name may be', async () => {
    await using dir = await tempDir('seed-folder')
    const { hostname } = await writeSeed(
      dir.path,
      { ...options, recipe: 'r'.repeat(63), instanceId: 'iid.12345678' },
      context,
    )
    expect(hostname).toBe(`${'r'.repeat(54)}-12345678`)
  })

  it('is an ISO image that nobody else may read', async () => {
    await using dir = await tempDir('seed-iso')
    const path = join(dir.path, 'seed,1.iso')
    await writeFile(path, 'an older one')
    const written = await writeSeed(path, { ...options, userData: sampleUserData('nocloud', 'gzip') }, context)
    expect(written.qemu).toEqual(['-drive', `file=${dir.path}/seed,,1.iso,if=virtio,format=raw,readonly=on`])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await run('xorriso', ['-osirrox', 'on', '-indev', path, '-extract', '/', join(dir.path, 'out')])
    expect(await readFile(join(dir.path, 'out', 'user-data'))).toEqual(sampleUserData('nocloud', 'gzip').bytes)
    expect(await readFile(join(dir.path, 'out', 'meta-data'), 'utf8')).toContain('instance-id: iid-1\n')
    await expect(readFile(join(dir.path, 'out', 'network-config'))).rejects.toThrow()
  })

  it.each<[string, Partial<SeedOptions>]>([
    ['is no instance id', { instanceId: 'a b' }],
    ['is no instance id', { instanceId: 'a\nlocal-hostname: evil' }],
    ['is no host name', { hostname: 'a_b' }],
    ['is no URL of a seed', { url: 'ftp://10.0.2.2/' }],
    ['is no URL of a seed', { url: 'http://10.0.2.2/;h=evil' }],
    ['is no URL of a seed', { url: 'http://10.0.2.2/a b/' }],
  ])('refuses what %s: %j', async (message, changes) => {
    await using dir = await tempDir('seed-folder')
    const work = writeSeed(dir.path, { ...options, ...changes }, context)
    await expect(work).rejects.toThrow(UserError)
    await expect(work).rejects.toThrow(message)
  })
})
