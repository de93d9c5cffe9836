import { findBase } from '../base/cache.ts'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import type { LaunchDisk } from '../launch/launch.ts'
import type { Report } from '../profile/report.ts'
import type { Recipe } from '../recipe/model.ts'
import { phase } from '../report/events.ts'
import { builtInAllowances } from './allowed.ts'
import { loadAllowances } from './allowance-file.ts'
import { compare, countCompared, type Compared } from './compare.ts'
import { explain, type Allowance, type Explanation } from './explain.ts'
import type { BaseDisk, HostRequest, HostRunner, VerifyHost } from './host.ts'
import { idempotenceCheck, type IdempotenceCheck } from './idempotence.ts'
import { identityChecks, type IdentityCheck } from './identity.ts'
import type { Inventory } from './inventory.ts'

export interface VerifyOptions {
  readonly recipe: Pick<Recipe, 'name' | 'everyMinutes' | 'folder'>
  readonly channel: string
  /** What the image is held against. */
  readonly base: BaseDisk
  readonly image: LaunchDisk
  readonly runner: HostRunner
  /** KVM seconds that each host may take until it is ready. */
  readonly timeoutSeconds?: number
}

/** Whether a host from the image ends where one from the base does. */
export interface Verification {
  readonly recipe: string
  readonly base: string
  /** Id of the image, or the path of its disk. */
  readonly image: string
  readonly engine: HostRunner['name']
  readonly ok: boolean
  readonly compared: Compared
  readonly explanation: Explanation
  readonly identity: readonly IdentityCheck[]
  readonly idempotence: readonly IdempotenceCheck[]
  /** Wall seconds of all of it. */
  readonly seconds: number
}

/** What one host was like after its first converge and another one. */
interface Examined {
  readonly first: Report
  readonly second: Report
  readonly inventory: Inventory
}

/**
 * Boots one host from the base and two from the image, each with everything that is due at runtime, and compares them.
 * Throws UserError where a host does not converge at all; whatever differs is in the result.
 */
export async function verify(context: Context, options: VerifyOptions): Promise<Verification> {
  const startedAt = performance.now()
  const allowances = [...builtInAllowances, ...(await loadAllowances(options.recipe.folder))]
  await using baseDisk = await options.runner.prepare(context, options.base)
  await using imageDisk = await options.runner.prepare(context, options.image)
  const image = await examine(context, options, imageDisk.disk, 'image')
  refuseOtherImage(image.first, options.image)
  const base = await examine(context, options, baseDisk.disk, 'base')
  const again = await examine(context, options, imageDisk.disk, 'image, once more')
  return {
    ...judge(allowances, { base, image, again }),
    recipe: options.recipe.name,
    base: options.base.base,
    image: options.image.imageId === '' ? options.image.path : options.image.imageId,
    engine: options.runner.name,
    seconds: (performance.now() - startedAt) / 1000,
  }
}

/** All that is decided about three hosts. Pure. */
export function judge(
  allowances: readonly Allowance[],
  hosts: { readonly base: Examined; readonly image: Examined; readonly again: Examined },
): Pick<Verification, 'ok' | 'compared' | 'explanation' | 'identity' | 'idempotence'> {
  const { base, image, again } = hosts
  const explanation = explain(
    compare(base.inventory, image.inventory),
    allowances,
    compare(image.inventory, again.inventory),
  )
  const shared = allowances.filter(({ source, kind }) => source === 'recipe' && kind === 'file')
  const identity = identityChecks(
    image.inventory,
    again.inventory,
    shared.map(({ glob }) => glob),
  )
  const idempotence = [
    idempotenceCheck('base', base.second),
    idempotenceCheck('image', image.second),
    idempotenceCheck('image, once more', again.second),
  ]
  return {
    ok: explanation.unexplained.length === 0 && [...identity, ...idempotence].every(({ ok }) => ok),
    compared: countCompared(base.inventory, image.inventory),
    explanation,
    identity,
    idempotence,
  }
}

async function examine(context: Context, options: VerifyOptions, disk: LaunchDisk, role: string): Promise<Examined> {
  const { recipe, channel, runner, timeoutSeconds } = options
  const request: HostRequest = {
    ...{ recipe, channel, disk, role },
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  }
  await using host: VerifyHost = await phase(context.reporter, `launch from the ${role}`, () =>
    runner.start(context, request),
  )
  const second = await phase(context.reporter, `converge once more (${role})`, async () => {
    await host.settle()
    return host.converge()
  })
  const inventory = await phase(
    context.reporter,
    `take the inventory (${role})`,
    () => host.inventory(),
    (result) => ({ detail: `${result.items.file.size} files` }),
  )
  return { first: host.report, second, inventory }
}

/** A disk that is no image would be equal to the base, and prove nothing. */
function refuseOtherImage(report: Report, disk: LaunchDisk): void {
  if (report.image === '') {
    throw new UserError(`${disk.path} is no image: the host from it says that nothing is baked into it`, {
      hint: 'name the disk of a baked image, or leave --disk out to verify the current one',
      code: 'no-image',
    })
  }
  if (disk.imageId !== '' && report.image !== disk.imageId) {
    throw new UserError(`${disk.path} is not image ${disk.imageId}: the host from it says '${report.image}'`, {
      code: 'no-image',
    })
  }
}

/** The base that a host is launched from for comparison. */
export async function findBaseDisk(context: Context, nameOrDigest: string): Promise<BaseDisk> {
  const { path, name, digest } = await findBase(nameOrDigest, context)
  return { path, imageId: '', base: name, digest }
}
