import type { Sha256 } from '../util/sha256.ts'

/**
 * The key layout of DESIGN: every key parbake reads or writes is made here. Keys use [A-Za-z0-9._/-] only, because curl
 * before 8.9 signs anything else wrongly.
 */
export const keys = {
  bundle: (recipe: string, digest: Sha256) => `bundles/${recipe}/${digest}.tar.gz`,
  agent: (digest: Sha256) => `agents/${digest}.sh`,
  channel: (recipe: string, channel: string) => `channels/${recipe}/${channel}`,
  /** Under which channels lie: those of one recipe, or of all. */
  channelsPrefix: (recipe?: string) => (recipe === undefined ? 'channels/' : `channels/${recipe}/`),
  /** A channel as it was; the serial has leading zeros, so that keys sort by it. */
  channelHistory: (recipe: string, channel: string, serial: number) =>
    `history/${recipe}/${channel}/${String(serial).padStart(15, '0')}`,
  channelHistoryPrefix: (recipe: string, channel: string) => `history/${recipe}/${channel}/`,
  rollout: (recipe: string, channel: string) => `rollouts/${recipe}/${channel}.json`,
  /** `date` is YYYY-MM-DD, UTC. */
  report: (recipe: string, date: string, host: string, run: string) =>
    `reports/${recipe}/dt=${date}/${host}-${run}.json`,
  reportsPrefix: (recipe: string) => `reports/${recipe}/`,
  rollup: (recipe: string, date: string) => `rollups/${recipe}/v1/dt=${date}.ndjson`,
  rollupsPrefix: (recipe: string) => `rollups/${recipe}/v1/`,
  imageFile: (recipe: string, imageId: string, file: string) => `images/${recipe}/${imageId}/${file}`,
  imagesPrefix: (recipe: string) => `images/${recipe}/`,
  imageChannelsPrefix: (recipe: string) => `images/${recipe}/channels/`,
  imageChannel: (recipe: string, channel: string) => `images/${recipe}/channels/${channel}`,
} as const

/** True for keys that every supported store and signer treats alike. */
export function isSafeKey(key: string): boolean {
  return (
    key.length > 0 &&
    key.length <= 1000 &&
    /^[A-Za-z0-9._/=-]+$/.test(key) &&
    key.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  )
}
