import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import {
  manifestDigest,
  manifestSchema,
  parseManifest,
  renderManifest,
  type ImageManifest,
} from '../../src/image/manifest.ts'
import { sha256 } from '../../src/util/sha256.ts'

const d = (text: string) => sha256(text)

const manifest: ImageManifest = {
  v: 1,
  imageId: 'web-20261120T100931Z-5c1d',
  recipe: 'web',
  channel: 'stable',
  createdAt: '2026-11-20T10:09:31Z',
  base: { name: 'debian-12', digest: d('base') },
  bundle: d('bundle'),
  steps: [
    { name: 'packages', digest: d('packages'), seconds: 15.31 },
    { name: 'compile', digest: d('compile'), seconds: 0 },
  ],
  planDigest: d('plan'),
  format: { type: 'qcow2', compression: 'zstd' },
  sizeBytes: 243_269_632,
  sha256: d('disk'),
  virtualSizeBytes: 4_294_967_296,
  addedBytes: 61_865_984,
  tools: { qemu: '7.2.22', 'qemu-img': '7.2.22', agent: '1' },
  parbakeVersion: '0.1.0',
  accelerator: 'tcg',
  verification: { readyUptime: 26.1, launchSeconds: 31.4, checks: [{ name: 'machine-id-fresh', ok: true }] },
  predicted: { unbakedSeconds: 73.62, bakedSeconds: 41.58 },
}

describe('renderManifest', () => {
  it('sorts keys at every level, indents by two and ends with LF', () => {
    const text = renderManifest(manifest)
    expect(JSON.parse(text)).toEqual(manifest)
    expect(text.startsWith('{\n  "accelerator": "tcg",\n  "addedBytes": 61865984,\n  "base": {\n    "digest": "')).toBe(
      true,
    )
    expect(text.endsWith('}\n')).toBe(true)
    expect(text.indexOf('"agent"')).toBeLessThan(text.indexOf('"qemu"'))
    expect(text.indexOf('"packages"')).toBeLessThan(text.indexOf('"compile"'))
  })

  it('gives the same bytes and digest for members in any order', () => {
    const reversed = Object.fromEntries(Object.entries(manifest).toReversed()) as ImageManifest
    expect(renderManifest(reversed)).toBe(renderManifest(manifest))
    expect(manifestDigest(manifest)).toBe(sha256(renderManifest(reversed)))
  })

  it('is read back as it was', () => {
    expect(parseManifest(renderManifest(manifest), 'm')).toEqual(manifest)
    const { channel: _, predicted: __, ...least } = manifest
    expect(parseManifest(renderManifest(least), 'm')).toEqual(least)
  })

  it('refuses to write what is no manifest', () => {
    expect(() => renderManifest({ ...manifest, sha256: 'x' })).toThrow()
  })
})

describe('parseManifest', () => {
  const broken: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ['another version', { v: 2 }, 'v: '],
    ['an id that leaves its folder', { imageId: '../x' }, 'imageId: '],
    ['a recipe with a slash', { recipe: 'a/b' }, 'recipe: '],
    ['a short digest', { sha256: 'abc' }, 'sha256: must be 64 lower-case hex digits'],
    ['a base without digest', { base: { name: 'debian-12' } }, 'base.digest: '],
    ['a negative size', { sizeBytes: -1 }, 'sizeBytes: '],
    ['a broken size', { virtualSizeBytes: 1.5 }, 'virtualSizeBytes: '],
    ['an unknown compression', { format: { type: 'qcow2', compression: 'lz4' } }, 'format.compression: '],
    ['another format', { format: { type: 'vmdk', compression: 'none' } }, 'format.type: '],
    ['no verification', { verification: undefined }, 'verification: '],
    ['a date without a zone', { createdAt: '2026-11-20 10:00' }, 'createdAt: '],
    ['a step without digest', { steps: [{ name: 'a', seconds: 1 }] }, 'steps.0.digest: '],
  ]

  it.each(broken)('refuses %s and says where', (_, changes, where) => {
    let thrown: unknown
    try {
      parseManifest(JSON.stringify({ ...manifest, ...changes }), 'images/web/x/manifest.json')
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(UserError)
    expect((thrown as UserError).message).toContain(`images/web/x/manifest.json is no image manifest: ${where}`)
    expect((thrown as UserError).code).toBe('manifest-invalid')
  })

  it.each(['', '{', 'null', '[]'])('refuses %j', (text) => {
    expect(() => parseManifest(text, 'm')).toThrow(UserError)
  })

  it('takes members of later versions', () => {
    expect(manifestSchema.parse({ ...manifest, sbom: 'sbom.cdx.json' })).toMatchObject({ sbom: 'sbom.cdx.json' })
  })

  it('takes an image that is smaller than its base', () => {
    expect(manifestSchema.safeParse({ ...manifest, addedBytes: -5 }).success).toBe(true)
  })
})
