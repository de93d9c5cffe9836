/** Where a host stands towards its channel; `unknown` where the channel could not be read or the host has no bundle. */
export type BundleState = 'current' | 'rollout' | 'behind' | 'unknown'

/** What a host's reports say about it. */
export interface HostState {
  readonly recipe: string
  readonly host: string
  /** When its last report came, by the store's clock, ISO 8601. */
  readonly lastSeen: string
  /** Until when it should be heard of again, ISO 8601; undefined where its agent does not say and it has nothing to report. */
  readonly expectedBy?: string
  /** It should have been heard of, less than a day ago. */
  readonly late: boolean
  /** It should have been heard of longer ago: it was ended, or it is cut off. */
  readonly silent: boolean
  /** Digest, '' where it has none. */
  readonly bundle: string
  readonly bundleState: BundleState
  readonly serial: number
  /** Id of the image it booted from, '' for a plain base. */
  readonly image: string
  /** Reports that were looked at: its last ones. */
  readonly reports: number
  /** Of these, failed ones. */
  readonly failures: number
  /** Whether its last converge failed. */
  readonly failing: boolean
  /** Of the last failure, '' for none. */
  readonly lastError: string
  /** Steps that ran again by cron although nothing had changed, with how often. */
  readonly drift: Readonly<Record<string, number>>
  readonly agentVersion: string
  readonly tags: readonly string[]
}

/** How many hosts there are of each kind. */
export interface HostCounts {
  readonly hosts: number
  readonly failing: number
  readonly late: number
  readonly silent: number
  readonly behind: number
  readonly rollout: number
  readonly drifting: number
}

/** The hosts of a channel of one recipe. */
export interface HostList {
  readonly recipe: string
  readonly channel: string
  /** ISO 8601: earlier reports were not looked at. */
  readonly since: string
  /** Of all hosts, whatever was asked for. */
  readonly counts: HostCounts
  readonly hosts: readonly HostState[]
}

export type HostFilter = 'failed' | 'late' | 'silent' | 'behind'
