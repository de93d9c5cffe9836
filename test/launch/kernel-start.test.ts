import { expect, it } from 'vitest'
import { KernelStart } from '../../src/launch/kernel-start.ts'

it('takes the promptest line that tells the guest’s uptime', () => {
  const start = new KernelStart()
  expect(start.earliestMs).toBeUndefined()
  start.see('GRUB loading.', 100)
  start.see('[  OK  ] Started something', 3000)
  start.see('[ 12 ] no uptime', 4000)
  expect(start.earliestMs).toBeUndefined()
  start.see('[   10.500000] cloud-init[1]: late by 2 s', 14_500)
  expect(start.earliestMs).toBe(4000)
  start.see('host login: [   20.000000] cloud-init[1]: on time', 22_000)
  start.see('[   30.000000] late again', 39_000)
  expect(start.earliestMs).toBe(2000)
})
