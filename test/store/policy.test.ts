import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { listHosts } from '../../src/hosts/list.ts'
import { defaultBounds } from '../../src/rollout/model.ts'
import { rollBack } from '../../src/rollout/rollback.ts'
import { startRollout, undoRollout } from '../../src/rollout/rollout.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { openStore } from '../../src/store/open.ts'
import { policyRoles, storePolicy, type PolicyRole } from '../../src/store/policy.ts'
import { probeConditionalPut } from '../../src/store/probe.ts'
import { type Ceph, cephSkipped, startCeph } from '../support/ceph.ts'
import { accountEnv, s3Url, signedFetch, type S3Account } from '../support/s3.ts'
import { failure, recipeOf, rig } from '../rollout/support.ts'

const folders = [
  'bundles',
  'agents',
  'channels',
  'history',
  'rollouts',
  'reports',
  'rollups',
  'images',
  'leases',
] as const
type Folder = (typeof folders)[number]

/** The folders in which each role may do what; all else must be refused. */
const allowed: Readonly<Record<PolicyRole, Readonly<Record<'get' | 'put' | 'delete' | 'list', readonly Folder[]>>>> = {
  hosts: { get: ['bundles', 'agents', 'channels'], put: ['reports'], delete: [], list: [] },
  publisher: {
    get: [...folders],
    put: ['bundles', 'agents', 'channels', 'history', 'rollouts', 'rollups', 'leases'],
    delete: ['leases'],
    list: [...folders],
  },
  baker: {
    get: ['bundles', 'agents', 'channels', 'reports', 'rollups', 'images', 'leases'],
    put: ['rollups', 'images', 'leases'],
    delete: ['images', 'leases'],
    list: ['bundles', 'channels', 'reports', 'rollups', 'images', 'leases'],
  },
}

/** `agents` and `leases` have no folder for each recipe. */
const keyIn = (folder: Folder, recipe = 'web') =>
  folder === 'agents' || folder === 'leases' ? `${folder}/x` : `${folder}/${recipe}/x`

describe.skipIf(cephSkipped)('policies, as a server enforces them', () => {
  let ceph: Ceph
  const users = new Map<PolicyRole, S3Account>()
  const bucket = 'policies'

  beforeAll(async () => {
    ceph = await startCeph()
    await ceph.createBucket(bucket)
    for (const role of policyRoles) users.set(role, await ceph.createUser(role))
    await apply({ prefix: 'team/x' })
  }, 120_000)
  afterAll(() => ceph?.stop(), 30_000)

  /** A bucket policy has the same statements, each with whom it is for. */
  async function apply(scope: Parameters<typeof storePolicy>[2]): Promise<void> {
    const statements = policyRoles.flatMap((role) =>
      storePolicy(role, bucket, scope).Statement.map((statement) => ({
        ...statement,
        Sid: `${role}${statement.Sid}`,
        Principal: { AWS: [`arn:aws:iam:::user/${role}`] },
      })),
    )
    const body = JSON.stringify({ Version: '2012-10-17', Statement: statements })
    const answer = await signedFetch(ceph, { method: 'PUT', path: `/${bucket}`, query: { policy: '' }, body })
    expect(await answer.text()).toBe('')
    expect(answer.ok).toBe(true)
  }

  /** One object in each folder of two recipes, and one outside of the store. */
  async function fill(): Promise<void> {
    const owner = await openStore(s3Url(ceph, bucket), { env: accountEnv(ceph) })
    for (const recipe of ['web', 'db']) {
      for (const folder of folders) await owner.put(`team/x/${keyIn(folder, recipe)}`, 'hello')
    }
    await owner.put('elsewhere', 'hello')
  }

  const storeOf = (role: PolicyRole, prefix = 'team/x'): Promise<ObjectStore> => {
    const user = users.get(role)
    if (user === undefined) throw new Error('no user')
    return openStore(s3Url(ceph, bucket, prefix), { env: accountEnv(user) })
  }

  const isAllowed = (work: Promise<unknown>): Promise<boolean> =>
    work.then(
      () => true,
      (error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'store-denied') return false
        throw error
      },
    )

  it.each(policyRoles)('let %s do what they need and nothing else', async (role) => {
    await fill()
    const store = await storeOf(role)
    const found: Record<string, Folder[]> = { get: [], put: [], delete: [], list: [] }
    for (const folder of folders) {
      const key = keyIn(folder)
      if (await isAllowed(store.get(key).then((object) => object?.body.resume()))) found['get']?.push(folder)
      if (await isAllowed(store.put(key, 'again'))) found['put']?.push(folder)
      if (await isAllowed(store.list({ prefix: `${folder}/` }))) found['list']?.push(folder)
      if (await isAllowed(store.delete(key))) found['delete']?.push(folder)
    }
    expect(found).toEqual(allowed[role])
    const outside = await storeOf(role, 'team')
    expect(await isAllowed(outside.list())).toBe(false)
    expect(await isAllowed((await storeOf(role, '')).get('elsewhere'))).toBe(false)
  })

  it('suffice for a publisher to publish, roll out, roll back and look at hosts', async () => {
    await using test = await rig()
    const user = users.get('publisher')
    if (user === undefined) throw new Error('no user')
    const ctx = test.configured({ store: s3Url(ceph, bucket, 'team/x') })
    const before = { ...process.env }
    Object.assign(process.env, accountEnv(user))
    try {
      await publishRecipe({ ...recipeOf('a'), name: 'app' }, ctx)
      await publishRecipe({ ...recipeOf('b'), name: 'app' }, ctx)
      const options = { percent: 10, tags: [], bounds: defaultBounds }
      await startRollout({ ...recipeOf('c'), name: 'app' }, ctx, options)
      await undoRollout(ctx, { recipe: 'app' })
      expect(await rollBack(ctx, { recipe: 'app', to: 'previous' })).toMatchObject({ serial: 5, from: 1 })
      expect(
        await listHosts(ctx, {
          recipe: 'app',
          days: 2,
          schedule: { everyMinutes: 15, cron: '', splaySeconds: 0 },
          filters: [],
        }),
      ).toHaveLength(1)
      expect(await probeConditionalPut(await storeOf('publisher'))).toBe(true)
    } finally {
      process.env = before
    }
  })

  it('keep those of one recipe away from all others', async () => {
    await fill()
    await apply({ prefix: 'team/x', recipe: 'web' })
    const hosts = await storeOf('hosts')
    for (const [key, expected] of [
      ['channels/web/x', true],
      ['channels/db/x', false],
      ['bundles/db/x', false],
    ] as const) {
      expect([key, await isAllowed(hosts.get(key).then((object) => object?.body.resume()))]).toEqual([key, expected])
    }
    expect(await isAllowed(hosts.put('reports/web/y', '{}'))).toBe(true)
    expect(await isAllowed(hosts.put('reports/db/y', '{}'))).toBe(false)
    const publisher = await storeOf('publisher')
    expect(await isAllowed(publisher.put('channels/db/x', 'x'))).toBe(false)
    expect(await isAllowed(publisher.list({ prefix: 'history/db/' }))).toBe(false)
    await expect(failure(publisher.put('rollouts/db/x', 'x'))).resolves.toMatchObject({ code: 'store-denied' })
  })
})
