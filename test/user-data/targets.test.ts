import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { outputsOf } from '../../src/user-data/platforms.ts'
import { renderUserData } from '../../src/user-data/render.ts'
import { countedBytes, targetNames, userDataTargets, type TargetName } from '../../src/user-data/targets.ts'
import { repository } from '../support/source-files.ts'
import { conf } from './support.ts'

describe('bytes that count against the limit', () => {
  it.each<[TargetName, number, number]>([
    ['nocloud', 1000, 1000],
    ['aws', 1000, 1000],
    ['openstack', 1336, 1336],
    ['azure', 1000, 1000],
    ['gcp', 1000, 1336],
    ['digitalocean', 1000, 1000],
    ['hetzner', 1000, 1336],
    ['oracle', 1336, 1336],
    ['alibaba', 1000, 1000],
    ['vsphere', 1336, 1336],
    ['libvirt', 1000, 1000],
    ['proxmox', 1000, 1000],
  ])('%s: %i as text, %i compressed', (target, text, gzip) => {
    expect(countedBytes(target, false, 1000)).toBe(text)
    expect(countedBytes(target, true, 1000)).toBe(gzip)
  })

  it('are what base64 takes, to the byte', () => {
    for (const length of [0, 1, 2, 3, 4, 49_149, 49_150]) {
      expect(countedBytes('openstack', false, length)).toBe(Buffer.alloc(length).toString('base64').length)
    }
  })
})

describe('each target', () => {
  const bounded = targetNames.filter((target) => Number.isFinite(userDataTargets[target].limitBytes))

  it.each(bounded)('%s: takes a document up to its limit in its own units, and no more', (target) => {
    const { limitBytes } = userDataTargets[target]
    const noise = randomBytes(limitBytes).toString('base64')
    let fits = 0
    let tooLong = noise.length
    const size = (length: number) => renderUserData({ target, stage0: noise.slice(0, length), conf }).sizeBytes
    while (tooLong - fits > limitBytes / 400) {
      const middle = Math.floor((fits + tooLong) / 2)
      try {
        size(middle)
        fits = middle
      } catch (error) {
        expect(error).toMatchObject({ code: 'user-data-too-large', exitCode: 2 })
        tooLong = middle
      }
    }
    const { sizeBytes, parts, bytes, format } = renderUserData({ target, stage0: noise.slice(0, fits), conf })
    expect(sizeBytes).toBeLessThanOrEqual(limitBytes)
    expect(sizeBytes).toBeGreaterThan(limitBytes * 0.99)
    expect(sizeBytes).toBe(countedBytes(target, format === 'gzip', bytes.length))
    expect(parts.reduce((sum, part) => sum + part.bytes, 0)).toBe(sizeBytes)
  })

  it.each(targetNames.filter((target) => !bounded.includes(target)))('%s: has no limit', (target) => {
    const stage0 = randomBytes(600_000).toString('base64')
    expect(renderUserData({ target, stage0, conf }).format).toBe('text')
  })

  it('says in which units it counts where it refuses', () => {
    const stage0 = randomBytes(60_000).toString('base64')
    expect(() => renderUserData({ target: 'openstack', stage0, conf })).toThrow(
      /user-data for OpenStack would have \d+ bytes of base64 and may have 65535 \(stage-0 \d+,/,
    )
  })

  it('refuses to compress for a place that takes text only', () => {
    const render = () => renderUserData({ target: 'digitalocean', stage0: '#!/bin/sh\n', conf, format: 'gzip' })
    expect(render).toThrow(UserError)
    expect(render).toThrow('DigitalOcean takes user-data as text only')
  })

  it('is in the README, with its limit and the forms that it has', async () => {
    const readme = await readFile(join(repository, 'README.md'), 'utf8')
    for (const target of targetNames) {
      const { limitBytes } = userDataTargets[target]
      const row = new RegExp(`^\\| \`${target}\` .*$`, 'm').exec(readme)?.[0] ?? ''
      expect(row).toContain(Number.isFinite(limitBytes) ? ` ${limitBytes.toLocaleString('en')} ` : ' none ')
      for (const form of ['launch-template', 'terraform', 'cli'] as const) {
        expect([target, form, row.includes(form)]).toEqual([target, form, outputsOf(target).includes(form)])
      }
    }
  })
})
