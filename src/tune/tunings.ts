import { compareVersions, type GuestFacts } from './facts.ts'

/** One thing that bootstrap/tune.sh can do to an image so that its hosts are ready sooner. */
export interface Tuning {
  /** As tune.sh takes it. */
  readonly name: string
  readonly title: string
  readonly does: string
  /** `same`: users of the machine see nothing but its speed. `deeper`: something is different, see `changes`. */
  readonly level: 'same' | 'deeper'
  /** Why nothing changes, or what does. */
  readonly changes: string
  readonly saved: Saving
  /** Why it cannot do anything on such a system, as a clause for people; undefined where it can. */
  obstacle(facts: GuestFacts): string | undefined
}

/** What a tuning brought in a measurement. */
export interface Saving {
  /** Seconds of launch-to-ready. */
  readonly seconds: number
  /** On what, compared how. */
  readonly how: string
}

const how = 'Debian 12, TCG, 2 CPUs, image of recipes/web with and without it, bench/boot-tuning.ts'

const forkedFrom = '24.3'

function needsCloudInit(facts: GuestFacts): string | undefined {
  return facts.osId !== undefined && facts.cloudInit === undefined ? 'it has no cloud-init from a package' : undefined
}

/** All tunings, in the order in which they are applied. */
export const tunings: readonly Tuning[] = [
  {
    name: 'cloud-init-fork',
    title: 'Load cloud-init once',
    does: 'Python and cloud-init are loaded once, early and beside other work; each stage is a process forked from that',
    level: 'same',
    changes:
      'the same stages with the same modules run in the same order, each in a process of its own in its own unit, with its ' +
      'streams and environment; without the server a stage starts as ever',
    saved: { seconds: 0, how },
    obstacle: (facts) =>
      facts.cloudInit !== undefined && compareVersions(facts.cloudInit, forkedFrom) >= 0
        ? `cloud-init ${facts.cloudInit} runs all stages in one process by itself`
        : needsCloudInit(facts),
  },
  {
    name: 'ssh-rsa-ahead',
    title: 'Make the RSA host key beside other work',
    does: "the RSA host key is made in memory from the start of the boot, and handed over when cloud-init's ssh module asks",
    level: 'same',
    changes:
      'cloud-init decides as ever which keys there are; a key that it does not ask for is dropped; the generator and its ' +
      'randomness are the same',
    saved: { seconds: 0, how },
    obstacle: needsCloudInit,
  },
  {
    name: 'cpu-share',
    title: 'The first converge comes first',
    does: 'while the system starts and CPUs are short, the agent gets a larger share than the last stages of cloud-init',
    level: 'same',
    changes: 'shares count only until the system has started, and nothing is stopped or left out',
    saved: { seconds: 0, how },
    obstacle: () => undefined,
  },
  {
    name: 'initrd-trim',
    title: 'A smaller initial RAM disk',
    does: "file systems other than the root's, network drivers and test devices are left out of the initial RAM disk",
    level: 'same',
    changes:
      'every driver of a disk controller stays, so the image boots where it did; what is left out is loaded from the root ' +
      'file system when it is needed',
    saved: { seconds: 0, how },
    obstacle: (facts) =>
      facts.osId !== undefined && facts.initramfs !== 'initramfs-tools'
        ? 'its initial RAM disk is not made by initramfs-tools'
        : undefined,
  },
]
