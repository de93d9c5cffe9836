import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import type { Plan } from '../../src/plan/model.ts'
import type { Report } from '../../src/profile/report.ts'
import { cephSkipped, startCeph, type Ceph } from '../support/ceph.ts'
import { cliHome, runCli, type CliHome } from '../support/cli.ts'
import { cliJson, vmEnvironment } from './support.ts'

/** The whole loop against a real S3 server that is not ours: Ceph RGW, credentials and all, with a small recipe. */

const recipeText = `name: small
steps:
  - name: slow
    type: script
    needs: []
    run: |
      sleep 8
      echo built > /var/lib/small-slow
  - name: quick
    type: script
    needs: []
    run: echo quick > /var/lib/small-quick
  - name: identify
    type: script
    needs: []
    when: instance
    run: echo "$PARBAKE_INSTANCE_ID" > /var/lib/small-instance
  - name: look
    type: script
    needs: [slow, quick, identify]
    when: always
    run: |
      test "$(cat /var/lib/small-slow)" = built
      test "$(cat /var/lib/small-quick)" = quick
      test "$(cat /var/lib/small-instance)" = "$PARBAKE_INSTANCE_ID"
`

const brokenText = `name: broken
steps:
  - name: works
    type: script
    bake: always
    run: echo fine
  - name: breaks
    type: script
    bake: always
    run: |
      echo 'the reason is here'
      exit 7
`

interface LaunchJson {
  readonly report: Report
}

let ceph: Ceph
let home: CliHome
let env: Record<string, string>

beforeAll(async () => {
  if (cephSkipped) return
  home = await cliHome()
  ceph = await startCeph()
  await ceph.createBucket('fleet')
  env = await vmEnvironment(home, {
    AWS_ACCESS_KEY_ID: ceph.accessKey,
    AWS_SECRET_ACCESS_KEY: ceph.secretKey,
    PARBAKE_HOST_ACCESS_KEY: ceph.accessKey,
    PARBAKE_HOST_SECRET_KEY: ceph.secretKey,
  })
  const endpoint = encodeURIComponent(ceph.endpoint)
  await writeFile(
    join(home.cwd, 'parbake.yaml'),
    `store: s3://fleet/team/a?endpoint=${endpoint}&region=us-east-1\nplan:\n  minSaving: 4s\n`,
  )
  for (const [name, text] of [
    ['small', recipeText],
    ['broken', brokenText],
  ] as const) {
    await mkdir(join(home.cwd, name))
    await writeFile(join(home.cwd, name, 'recipe.yaml'), text)
  }
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
})

afterAll(async () => {
  if (cephSkipped) return
  await ceph.stop()
  await home[Symbol.asyncDispose]()
})

describe.skipIf(cephSkipped)('the loop against Ceph RGW', () => {
  test('launch, plan, bake, launch again', async () => {
    await cliJson(home, env, 'publish', 'small')
    const before = await cliJson<LaunchJson>(home, env, 'launch', 'small')
    expect(before.report.steps.map((step) => step.outcome)).toEqual(['ran', 'ran', 'ran', 'ran'])
    const plan = await cliJson<Plan>(home, env, 'plan', 'small')
    expect(plan.steps.map((step) => [step.name, step.decision])).toEqual([
      ['slow', 'bake'],
      ['quick', 'runtime'],
      ['identify', 'runtime'],
      ['look', 'runtime'],
    ])
    const { manifest } = await cliJson<BakeResult>(home, env, 'bake', 'small')
    expect(manifest.steps.map((step) => step.name)).toEqual(['slow'])
    const after = await cliJson<LaunchJson>(home, env, 'launch', 'small', '--image', manifest.imageId)
    expect(after.report.steps.map((step) => step.outcome)).toEqual(['stamped', 'ran', 'ran', 'ran'])
  })

  test('a bake whose step fails says why and publishes nothing', async () => {
    await cliJson(home, env, 'publish', 'broken')
    const result = await runCli(['bake', 'broken'], { cwd: home.cwd, env })
    expect(result.exitCode).toBe(1)
    expect(result.stderr).toContain('step breaks failed with exit status 7')
    expect(result.stderr).toContain('the reason is here')
    const launch = await runCli(['launch', 'broken', '--image', 'latest'], { cwd: home.cwd, env })
    expect(launch.stderr).toContain('there is no image of broken')
  })
})
