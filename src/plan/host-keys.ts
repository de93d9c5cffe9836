import type { Report } from '../profile/report.ts'

/**
 * Of what cloud-init's ssh module takes on average, the share that goes into the RSA key; the rest is the other keys and
 * the programs' starts, the same in each boot. 0.95 of 8.4 s were the rest under TCG on 12 boots.
 */
const rsaShare = 0.88

/**
 * What making an RSA key takes, of its mean m: f · m at least, and 1 - f shared by the searches for two primes, in which
 * candidates are drawn until one passes: each exponential. Over 300 keys of `ssh-keygen -t rsa` (OpenSSH 9.2, OpenSSL 3.0) the
 * standard deviation was 0.56 m and the median 0.86 m, which f = 0.2 gives.
 */
const leastShare = 0.2

/** A host of an image begins with the key when systemd starts; the rest of the boot leaves it this share of a processor. */
const aheadShare = 0.6

/** Making host keys, over some boots. */
export interface HostKeys {
  /** Mean seconds of making the RSA key; 0 without a record of it. */
  readonly rsaSeconds: number
  /** Mean seconds of the ssh module besides. */
  readonly otherSeconds: number
}

/** What a host waits for the RSA key. */
export interface KeyWait {
  /** Expected seconds. */
  readonly seconds: number
  /** Its standard deviation, seconds. */
  readonly deviation: number
}

/** Where no RSA key is made. */
export const noWait: KeyWait = { seconds: 0, deviation: 0 }

/** Seconds that cloud-init's ssh module took in a boot, and the uptime at which it began; undefined without a record. */
function sshModule({ boot }: Report): { readonly start: number; readonly seconds: number } | undefined {
  const found = boot?.cloudInit.find(({ name }) => /^init[^/]*\/config-ssh$/.test(name))
  return found === undefined ? undefined : { start: found.start, seconds: found.end - found.start }
}

/** Told from boots of a plain base. A few of them say more together than each of itself. */
export function hostKeysOf(boots: readonly Report[]): HostKeys {
  const seconds = boots.flatMap((boot) => sshModule(boot)?.seconds ?? [])
  const mean = seconds.length === 0 ? 0 : seconds.reduce((sum, each) => sum + each, 0) / seconds.length
  return { rsaSeconds: rsaShare * mean, otherSeconds: (1 - rsaShare) * mean }
}

/** What the RSA key took in this one boot. */
export function rsaSecondsIn(boot: Report, { otherSeconds }: HostKeys): number {
  return Math.max(0, (sshModule(boot)?.seconds ?? 0) - otherSeconds)
}

/** Seconds of work on the key that a host of an image has behind it when `boot`, of a plain base, would begin with it. */
export function aheadSeconds(boot: Report, soonerSeconds: number): number {
  const module = sshModule(boot)
  if (module === undefined || boot.boot === undefined) return 0
  const { kernelSeconds, initrdSeconds } = boot.boot
  return aheadShare * Math.max(0, module.start - soonerSeconds - kernelSeconds - initrdSeconds)
}

/**
 * Mean and deviation of max(0, T - h) for the time T of a key and a head start h. T is a + G with a = f · m and G the sum of two
 * exponential times of rate λ = 2 / (m - a). For x = h - a > 0 the mean is e^(-λx) · (2/λ + x), and the mean of its square
 * e^(-λx) · (6/λ² + 2x/λ).
 */
export function waitForKey({ rsaSeconds }: HostKeys, headStart: number): KeyWait {
  if (rsaSeconds <= 0) return noWait
  const least = leastShare * rsaSeconds
  const rate = 2 / (rsaSeconds - least)
  const rest = headStart - least
  if (rest <= 0) return { seconds: rsaSeconds - headStart, deviation: Math.SQRT2 / rate }
  const tail = Math.exp(-rate * rest)
  const seconds = tail * (2 / rate + rest)
  const square = tail * (6 / rate ** 2 + (2 * rest) / rate)
  return { seconds, deviation: Math.sqrt(square - seconds ** 2) }
}
