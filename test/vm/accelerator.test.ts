import { describe, expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { chooseAccelerator, hasVirtualizationFlag, type AcceleratorFacts } from '../../src/vm/accelerator.ts'

const good: AcceleratorFacts = { requested: 'auto', kvmDevice: 'opens', cpuHasVirtualization: true }

describe('chooseAccelerator', () => {
  test.each<[Partial<AcceleratorFacts>, 'kvm' | 'tcg', RegExp]>([
    [{}, 'kvm', /hardware virtualisation/],
    [{ cpuHasVirtualization: false }, 'tcg', /neither vmx nor svm/],
    [{ kvmDevice: 'missing' }, 'tcg', /no \/dev\/kvm/],
    [{ kvmDevice: 'denied' }, 'tcg', /may not open/],
    [{ kvmDevice: 'broken' }, 'tcg', /does not open/],
    [{ requested: 'tcg' }, 'tcg', /asked for/],
    [{ requested: 'kvm' }, 'kvm', /asked for/],
    [{ requested: 'kvm', cpuHasVirtualization: false }, 'kvm', /asked for/],
  ])('%j gives %s', (facts, name, reason) => {
    const chosen = chooseAccelerator({ ...good, ...facts })
    expect(chosen.name).toBe(name)
    expect(chosen.reason).toMatch(reason)
    expect(chosen.timeFactor).toBe(name === 'kvm' ? 1 : 10)
  })

  test.each(['missing', 'denied', 'broken'] as const)('KVM asked for with the device %s is an error', (kvmDevice) => {
    expect(() => chooseAccelerator({ ...good, requested: 'kvm', kvmDevice })).toThrow(UserError)
  })
})

test.each([
  ['flags\t\t: fpu vme svm lm\n', true],
  ['flags\t\t: fpu vmx lm\n', true],
  ['flags\t\t: fpu svm_lock lm\n', false],
  ['model name\t: vmx special\nflags\t\t: fpu lm\n', false],
  ['', false],
])('hasVirtualizationFlag(%j) is %s', (cpuinfo, expected) => {
  expect(hasVirtualizationFlag(cpuinfo)).toBe(expected)
})
