import type { Context } from '../context.ts'
import type { LaunchDisk } from '../launch/launch.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import type { Inventory } from './inventory.ts'

/** A plain base to launch from. */
export interface BaseDisk extends LaunchDisk {
  readonly digest: string
}

/** What to boot, and for whom. */
export interface HostRequest {
  readonly recipe: Pick<Recipe, 'name' | 'everyMinutes'>
  readonly channel: string
  readonly disk: LaunchDisk
  /** Names it in progress and errors, e.g. `base`. */
  readonly role: string
  /** KVM seconds that the first converge may take. */
  readonly timeoutSeconds?: number
}

/** A host that has provisioned itself as any host of the fleet does. Disposing it leaves nothing of it. */
export interface VerifyHost extends AsyncDisposable {
  /** The report of its first converge. */
  readonly report: Report
  /** Waits until the boot is over and nothing is at work any more. */
  settle(): Promise<void>
  /** Lets the agent run once more and hands back its report. */
  converge(): Promise<Report>
  inventory(): Promise<Inventory>
}

export interface PreparedDisk extends AsyncDisposable {
  readonly disk: LaunchDisk
}

/** A way to run hosts. */
export interface HostRunner {
  readonly name: 'vm' | 'container'
  /** Why it cannot be used here, to be read after "cannot be used: "; undefined where it can. */
  obstacle(context: Context, disks: { readonly base: BaseDisk }): Promise<string | undefined>
  /** The disk in the form in which hosts boot fastest from it, for as long as it is not disposed. */
  prepare(context: Context, disk: LaunchDisk | BaseDisk): Promise<PreparedDisk>
  /** Boots a host and resolves when it has converged. Throws UserError where it does not. */
  start(context: Context, request: HostRequest): Promise<VerifyHost>
}
