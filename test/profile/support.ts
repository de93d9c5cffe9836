import { readFileSync } from 'node:fs'
import { launchRecordSchema, type LaunchRecord } from '../../src/profile/launches.ts'
import { reportSchema, type Report, type StepReport } from '../../src/profile/report.ts'
import type { Recipe, Step } from '../../src/recipe/model.ts'
import { sha256 } from '../../src/util/sha256.ts'

export const fixtureNames = ['runtime', 'baked', 'failed', 'cron-noop'] as const

export function fixture(name: (typeof fixtureNames)[number] | 'not-applicable'): Report {
  const path = new URL(`../fixtures/report-${name}.json`, import.meta.url)
  return reportSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
}

export const realBoots = ['debian-12', 'debian-13'] as const

/** A cold boot of a base in QEMU as its report and its launch record tell it. */
export function realBoot(base: (typeof realBoots)[number] = 'debian-12'): {
  readonly report: Report
  readonly launch: LaunchRecord
} {
  const read = (name: string): unknown =>
    JSON.parse(readFileSync(new URL(`../fixtures/boot-${base}/${name}.json`, import.meta.url), 'utf8'))
  return { report: reportSchema.parse(read('report')), launch: launchRecordSchema.parse(read('launch')) }
}

/** The digest that test steps of this name have. */
export const digestOf = (name: string) => sha256(`step ${name}`)

export function stepReport(name: string, wall: number, changes: Partial<StepReport> = {}): StepReport {
  return {
    name,
    digest: digestOf(name),
    when: 'change',
    outcome: 'ran',
    baked: false,
    startUptime: 10,
    wall,
    cpu: wall / 2,
    rxBytes: 100,
    diskBytes: 4096,
    exit: 0,
    attempts: 1,
    ...changes,
  }
}

let runs = 0

/** A successful cold boot of the fleet; every call is a run of its own. */
export function report(steps: readonly StepReport[], changes: Partial<Report> = {}): Report {
  runs += 1
  return { ...fixture('runtime'), run: `run-${runs}`, host: `host-${runs}`, steps: [...steps], ...changes }
}

export function step(name: string, changes: Partial<Step> = {}): Step {
  return {
    name,
    type: 'script',
    when: 'change',
    bake: 'auto',
    timeoutSeconds: 900,
    retries: 0,
    needs: [],
    rendered: { script: '#!/bin/sh\n', env: {}, files: [] },
    digest: digestOf(name),
    ...changes,
  }
}

export function recipe(steps: readonly Step[]): Recipe {
  return { name: 'web', folder: '/r/web', file: '/r/web/recipe.yaml', params: {}, everyMinutes: 15, steps }
}

export function launch(changes: Partial<LaunchRecord> = {}): LaunchRecord {
  return {
    run: 'r',
    recipe: 'web',
    image: '',
    base: 'debian-12',
    accelerator: 'tcg',
    launchSeconds: 45,
    readyUptime: 40,
    at: '2026-11-20T10:00:00.000Z',
    ...changes,
  }
}
