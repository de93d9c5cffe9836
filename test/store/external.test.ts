import { describe } from 'vitest'
import { openStore } from '../../src/store/open.ts'
import { storeContract } from './contract.ts'

/**
 * The contract on any store you name: PARBAKE_TEST_S3='s3://bucket/prefix?endpoint=…' or 'minio://…', credentials in the
 * usual variables. Objects are left behind under the prefix.
 */
const url = process.env['PARBAKE_TEST_S3'] ?? ''

describe.skipIf(url === '')('the store named in PARBAKE_TEST_S3', () => {
  storeContract('external', (place) => {
    const [base = '', options] = url.split('?')
    return openStore(`${base.replace(/\/$/, '')}/${place}${options === undefined ? '' : `?${options}`}`)
  })
})
