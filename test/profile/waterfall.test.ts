import { describe, expect, it } from 'vitest'
import type { BootRecord, Report } from '../../src/profile/report.ts'
import { waterfallOf, whySlow, type Waterfall } from '../../src/profile/waterfall.ts'
import { fixture, fixtureNames, launch, realBoot, realBoots, report, stepReport } from './support.ts'

/** Spans as `category name start-end`, to the hundredth. */
const lines = ({ spans }: Waterfall) =>
  spans.map(({ category, name, start, end }) => `${category} ${name} ${round(start)}-${round(end)}`)

const round = (seconds: number) => Math.round(seconds * 100) / 100

/** Whether the spans follow each other without a hole from 0 to ready; throws where they do not. */
function expectCovered({ spans, launchToReady }: Waterfall): void {
  let at = 0
  for (const span of spans) {
    expect(span.start).toBeCloseTo(at, 6)
    expect(span.end).toBeGreaterThan(span.start)
    at = span.end
  }
  expect(at).toBeCloseTo(launchToReady, 6)
}

const boot: BootRecord = {
  clock: 'uptime',
  kernelSeconds: 2,
  initrdSeconds: 1,
  units: [
    { name: 'systemd', start: 3, end: 3.5 },
    { name: 'dev-vda1.device', start: 5, end: 5 },
    { name: 'systemd-networkd.service', start: 5.5, end: 7 },
    { name: 'cloud-final.service', start: 7.5, end: 40 },
  ],
  cloudInit: [
    { name: 'modules-final', start: 8, end: 40, result: 'running' },
    { name: 'modules-final/config-x', start: 8.5, end: 9, result: 'FAIL' },
    { name: 'modules-final/config-scripts-user', start: 9, end: 40, result: 'running' },
  ],
}

const booted = (changes: Partial<Report> = {}): Report =>
  report([stepReport('install', 10, { startUptime: 12 }), stepReport('baked', 0, { attempts: 0, startUptime: 0 })], {
    boot,
    startUptime: 10,
    readyUptime: 24,
    startedAt: 1_000_000,
    phases: [
      { name: 'channel', start: 10.5, wall: 1 },
      { name: 'wait', start: 11.5, wall: 0.25 },
    ],
    ...changes,
  })

describe('waterfallOf', () => {
  it('lays everything over each other, so that each moment belongs to what was waited for', () => {
    const waterfall = waterfallOf(booted())
    expect(lines(waterfall)).toEqual([
      'kernel kernel 0-2',
      'initrd initrd 2-3',
      'systemd systemd 3-3.5',
      'gap waiting for dev-vda1.device 3.5-5',
      'gap before systemd-networkd.service 5-5.5',
      'systemd systemd-networkd.service 5.5-7',
      'gap before cloud-final.service 7-7.5',
      'systemd cloud-final.service 7.5-8',
      'cloud-init modules-final 8-8.5',
      'cloud-init modules-final/config-x 8.5-9',
      'cloud-init modules-final/config-scripts-user 9-10',
      'agent agent 10-10.5',
      'agent agent: channel 10.5-11.5',
      'cloud-init modules-final/config-scripts-user 11.5-11.75',
      'agent agent 11.75-12',
      'step install 12-22',
      'agent agent 22-24',
    ])
    expect(waterfall).toMatchObject({ launchToReady: 24, startedAt: 1_000_000 - 10, host: waterfall.host, image: '' })
    expect(waterfall.spans.find((span) => span.name.endsWith('config-x'))?.detail).toBe('FAIL')
    expectCovered(waterfall)
  })

  const outside: readonly (readonly [string, Parameters<typeof launch>[0], readonly string[], number])[] = [
    ['what QEMU’s host saw', { launchSeconds: 30, firmwareSeconds: 6 }, ['firmware firmware and boot loader 0-6'], 30],
    ['the difference of the clocks alone', { launchSeconds: 29 }, ['firmware firmware and boot loader 0-5'], 29],
    [
      'no more than the difference',
      { launchSeconds: 29, firmwareSeconds: 5.2 },
      ['firmware firmware and boot loader 0-5'],
      29,
    ],
    ['nothing where the clocks contradict each other', { launchSeconds: 23, firmwareSeconds: 5 }, [], 24],
  ]

  it.each(outside)('puts before the kernel %s', (_, changes, firmware, launchToReady) => {
    const waterfall = waterfallOf(booted(), launch(changes))
    expect(waterfall.launchToReady).toBe(launchToReady)
    expect(lines(waterfall).filter((line) => line.startsWith('firmware'))).toEqual(firmware)
    expectCovered(waterfall)
  })

  it('shows what is missing between the clocks of host and guest as a gap at the end', () => {
    const waterfall = waterfallOf(booted(), launch({ launchSeconds: 30.5, firmwareSeconds: 6 }))
    expect(lines(waterfall).at(-1)).toBe('gap until the console said so 30-30.5')
    expect(waterfall.startedAt).toBe(1_000_000 - 10 - 6)
  })

  it('takes firmware and boot loader from EFI where nobody watched', () => {
    const waterfall = waterfallOf(booted({ boot: { ...boot, firmwareSeconds: 3, loaderSeconds: 1 } }))
    expect(lines(waterfall).slice(0, 3)).toEqual([
      'firmware firmware 0-3',
      'firmware boot loader 3-4',
      'kernel kernel 4-6',
    ])
    expect(waterfall.launchToReady).toBe(28)
    expectCovered(waterfall)
  })

  it('names the time before the agent as a gap where the boot was not recorded', () => {
    const { boot: _, ...rest } = booted()
    const waterfall = waterfallOf(rest)
    expect(lines(waterfall)[0]).toBe('gap before agent 0-10')
    expectCovered(waterfall)
  })

  it('shows what cloud-init does while an agent that came up early waits for it', () => {
    const waterfall = waterfallOf(
      booted({
        startUptime: 6,
        readyUptime: 12,
        steps: [stepReport('late', 1, { startUptime: 11 })],
        phases: [
          { name: 'channel', start: 6, wall: 1 },
          { name: 'wait', start: 7, wall: 4 },
        ],
      }),
    )
    expect(lines(waterfall).slice(-6)).toEqual([
      'agent agent: channel 6-7',
      'agent agent: wait 7-8',
      'cloud-init modules-final 8-8.5',
      'cloud-init modules-final/config-x 8.5-9',
      'cloud-init modules-final/config-scripts-user 9-11',
      'step late 11-12',
    ])
  })

  it('leaves out what lies after ready or has no length', () => {
    const waterfall = waterfallOf(booted({ readyUptime: 8.25, steps: [], phases: [] }))
    expect(lines(waterfall).slice(-2)).toEqual(['systemd cloud-final.service 7.5-8', 'cloud-init modules-final 8-8.25'])
    expectCovered(waterfall)
  })

  it.each(fixtureNames)('covers the fixture %s from power-on to ready', (name) => {
    expectCovered(waterfallOf(fixture(name)))
  })
})

describe.each(realBoots)('a real boot of %s', (base) => {
  const real = realBoot(base)

  it('adds up to launch-to-ready within 2 % of two clocks that know nothing of each other', () => {
    const waterfall = waterfallOf(real.report, real.launch)
    expectCovered(waterfall)
    // The host timed the kernel's start and the ready line; the guest timed everything between.
    const seen = waterfall.spans.filter((span) => span.name !== 'until the console said so')
    const sum = seen.reduce((total, span) => total + span.end - span.start, 0)
    expect(Math.abs(sum - real.launch.launchSeconds) / real.launch.launchSeconds).toBeLessThan(0.02)
    expect((real.launch.firmwareSeconds ?? 0) + real.report.readyUptime).toBeLessThan(real.launch.launchSeconds)
  })

  it('explains nearly all of it: gaps are a small share', () => {
    const { spans, launchToReady } = waterfallOf(real.report, real.launch)
    const gaps = spans.filter((span) => span.category === 'gap')
    expect(gaps.reduce((total, span) => total + span.end - span.start, 0) / launchToReady).toBeLessThan(0.1)
    const categories = ['firmware', 'kernel', 'initrd', 'systemd', 'cloud-init', 'agent', 'step', 'gap']
    expect([...new Set(spans.map((span) => span.category))].toSorted()).toEqual(categories.toSorted())
  })
})

describe('whySlow', () => {
  it.each([
    [{}, 'cpu 1.00 s, received 100 B (50 B/s), disk 4.0 KiB'],
    [{ rxBytes: 0, diskBytes: -5 }, 'cpu 1.00 s'],
    [
      { rxBytes: 0, diskBytes: 0, lockSeconds: 3, retrySeconds: 1.5, outcome: 'failed' },
      'cpu 1.00 s, waited 3.00 s for a lock, retries 1.50 s, failed',
    ],
  ] as const)('says of %j: %s', (changes, expected) => {
    expect(whySlow(stepReport('x', 2, changes))).toBe(expected)
  })
})
