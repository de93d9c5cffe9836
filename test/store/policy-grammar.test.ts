import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { policyRoles, storePolicy } from '../../src/store/policy.ts'

/**
 * What AWS and MinIO both ask of a policy's statement, as their documentation and MinIO's own parser have it. No MinIO server can
 * be had for the tests, so that one enforces it is not shown here; a Ceph in policy.test.ts does.
 */
const objectActions = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'] as const
const bucket = '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]'
const sid = z.string().regex(/^[A-Za-z0-9]+$/)

const onObjects = z.strictObject({
  Sid: sid,
  Effect: z.literal('Allow'),
  Action: z.array(z.enum(objectActions)).nonempty(),
  // A statement about objects must name some: MinIO refuses a bucket alone.
  Resource: z.array(z.string().regex(new RegExp(`^arn:aws:s3:::${bucket}/[A-Za-z0-9._/-]+/\\*$`))).nonempty(),
})

const onBucket = z.strictObject({
  Sid: sid,
  Effect: z.literal('Allow'),
  Action: z.tuple([z.literal('s3:ListBucket')]),
  Resource: z.tuple([z.string().regex(new RegExp(`^arn:aws:s3:::${bucket}$`))]),
  // Of the keys that this action has, one; Null takes one value, in words.
  Condition: z.union([
    z.strictObject({ StringLike: z.strictObject({ 's3:prefix': z.array(z.string().min(1)).nonempty() }) }),
    z.strictObject({ Null: z.strictObject({ 's3:prefix': z.tuple([z.enum(['true', 'false'])]) }) }),
  ]),
})

const policySchema = z.strictObject({
  Version: z.literal('2012-10-17'),
  Statement: z.array(z.union([onObjects, onBucket])).nonempty(),
})

describe.each(policyRoles)('the policy for %s', (role) => {
  it.each([{}, { prefix: 'team/x' }, { recipe: 'web' }, { prefix: 'team/x', recipe: 'web' }])(
    'is one by the grammar of AWS and MinIO: %j',
    (scope) => {
      const policy: unknown = JSON.parse(JSON.stringify(storePolicy(role, 'acme-provisioning', scope)))
      const { Statement } = policySchema.parse(policy)
      // Both ask for names that differ, and AWS for at most so many bytes in a policy of a role or a user.
      expect(new Set(Statement.map(({ Sid }) => Sid)).size).toBe(Statement.length)
      expect(JSON.stringify(policy).length).toBeLessThan(2048)
    },
  )
})

it('the grammar refuses what servers refuse', () => {
  const statement = storePolicy('hosts', 'acme').Statement[0]
  const accepts = (changes: object) =>
    policySchema.safeParse({ Version: '2012-10-17', Statement: [{ ...statement, ...changes }] }).success
  expect(accepts({})).toBe(true)
  expect(accepts({ Resource: ['arn:aws:s3:::acme'] })).toBe(false)
  expect(accepts({ Resource: [] })).toBe(false)
  expect(accepts({ Action: ['s3:GetObject', 's3:ListBucket'] })).toBe(false)
  expect(accepts({ Action: ['s3:GetObjects'] })).toBe(false)
  expect(accepts({ Condition: { StringLike: { 's3:prefix': ['x'] } } })).toBe(false)
})
