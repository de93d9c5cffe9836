import { fewSamples, type StepProfile } from '../profile/model.ts'
import type { Step } from '../recipe/model.ts'
import { bytesOf, worthOf, type Choice, type Question } from './choose.ts'
import { sumOf } from './closure.ts'
import type { PlanImage } from './evidence.ts'
import { settledBand, settledShare } from './settings.ts'

/** Days in which a better choice has to bring back the bake that it costs. */
const paybackDays = 30

/**
 * The median from which on a step's saving counts. Without an image it is the threshold. With one, what the image has stays
 * until it falls a fifth below, and is never dropped for the sake of few samples; what the image has not, and whose median
 * is not surely beyond the threshold, has to exceed it by a fifth.
 */
export function floorFor(
  thresholdSeconds: number,
  inForce: PlanImage | undefined,
): (step: Step, profile: StepProfile | undefined) => number {
  if (inForce === undefined) return () => thresholdSeconds
  const names = new Set(inForce.steps.map((step) => step.name))
  return (step, profile) => {
    if (!names.has(step.name)) return thresholdSeconds * (isUnsure(profile, thresholdSeconds) ? 1 + settledBand : 1)
    return profile === undefined || profile.count < fewSamples ? 0 : thresholdSeconds * (1 - settledBand)
  }
}

/**
 * Whether noise could have put the median on this side of the threshold: there are few samples, or the threshold lies in
 * the median's 95 % interval, m ± 1.96 · 1.2533 · s / √n, with s from the 95 % quantile of a normal distribution.
 */
export function isUnsure(profile: StepProfile | undefined, thresholdSeconds: number): boolean {
  if (profile?.wall === undefined || profile.count < fewSamples) return true
  const { median, p95, count } = profile.wall
  const half = (1.96 * 1.2533 * ((p95 - median) / 1.645)) / Math.sqrt(count)
  return Math.abs(median - thresholdSeconds) <= half
}

/**
 * Stays with the steps of the image in force where they can all be reused and another choice would be better by too little
 * to bake anew for. Undefined where the better choice is to be taken.
 */
export function settled(question: Question, best: Choice, inForce: PlanImage): Uint8Array | undefined {
  const { candidates, needs, settings } = question
  const digests = new Set<string>(inForce.steps.map((step) => step.digest))
  const members = Uint8Array.from(candidates, ({ step }) => (digests.has(step.digest) ? 1 : 0))
  const present = new Set<string>(candidates.map(({ step }) => step.digest))
  const reusable =
    inForce.steps.every((step) => present.has(step.digest)) &&
    needs.every((each, index) => members[index] === 0 || each.every((need) => members[need] === 1)) &&
    candidates.every(({ step }, index) => step.bake !== 'always' || members[index] === 1)
  const limit = settings.maxImageGrowthBytes ?? Number.POSITIVE_INFINITY
  if (!reusable || sumOf(bytesOf(candidates), members) > limit) return undefined
  if (members.every((member, index) => member === best.members[index])) return undefined
  return isGoodEnough(question, members, best.members) ? members : undefined
}

function isGoodEnough(question: Question, members: Uint8Array, best: Uint8Array): boolean {
  const { candidates, settings, model, missingSeconds } = question
  // What the critical path saves is no sum over steps.
  if (model.execution === 'parallel') return false
  const worth = worthOf(question)
  const [own, other] = [sumOf(worth, members), sumOf(worth, best)]
  const [ownBytes, otherBytes] = [members, best].map((each) => sumOf(bytesOf(candidates), each)) as [number, number]
  const fewEnough = ownBytes <= otherBytes * (1 + settledShare)
  switch (settings.objective) {
    case 'balanced': {
      const bake = model.bakeWeight.value * model.bakeOverheadSeconds.value
      return other - own <= Math.max(settledShare * Math.abs(own), bake / paybackDays)
    }
    case 'fastest':
      return other - own <= settledShare * Math.abs(own)
    case 'smallest':
      return fewEnough && own >= (1 - settledShare) * other
    case 'target':
      return fewEnough && own >= (missingSeconds ?? other)
  }
}
