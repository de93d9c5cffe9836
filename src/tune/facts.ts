/**
 * What is known about the system that is tuned. Everything may be unknown: bootstrap/tune.sh looks again by itself, and
 * leaves alone what it does not recognise.
 */
export interface GuestFacts {
  /** `ID` of /etc/os-release, e.g. `debian`. */
  readonly osId?: string
  /** `VERSION_ID`, e.g. `12`. */
  readonly osVersion?: string
  /** Upstream version of cloud-init, e.g. `22.4.2`. */
  readonly cloudInit?: string
  /** Which tool makes the initial RAM disk. */
  readonly initramfs?: 'initramfs-tools' | 'dracut'
}

/** Facts from the texts of os-release and of dpkg's status file. Pure. */
export function guestFacts(osRelease: string, dpkgStatus: string): GuestFacts {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, 'm').exec(osRelease)?.[1]
  const osId = field('ID')
  const osVersion = field('VERSION_ID')
  return {
    ...(osId !== undefined && { osId }),
    ...(osVersion !== undefined && { osVersion }),
    ...packageFacts((name) => packageVersion(dpkgStatus, name)),
  }
}

/** What the versions of installed packages tell; `versionOf` gives undefined for what is not installed. Pure. */
export function packageFacts(
  versionOf: (name: string) => string | undefined,
): Pick<GuestFacts, 'cloudInit' | 'initramfs'> {
  const cloudInit = /^(?:\d+:)?(\d+(?:\.\d+)*)/.exec(versionOf('cloud-init') ?? '')?.[1]
  const initramfs = (['initramfs-tools', 'dracut'] as const).find((name) => versionOf(name) !== undefined)
  return { ...(cloudInit !== undefined && { cloudInit }), ...(initramfs !== undefined && { initramfs }) }
}

function packageVersion(dpkgStatus: string, name: string): string | undefined {
  const paragraph = dpkgStatus.split('\n\n').find((text) => text.trimStart().startsWith(`Package: ${name}\n`))
  if (paragraph === undefined || !/^Status: \S+ \S+ installed$/m.test(paragraph)) return undefined
  return /^Version: (\S+)$/m.exec(paragraph)?.[1]
}

/** Negative, zero or positive as the dotted number `a` is below, equal to or above `b`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => text.split('.').map(Number))
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index += 1) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
