import { join } from 'node:path'
import { baseRaw } from '../../src/bake/container/base-raw.ts'
import type { Base } from '../../src/base/model.ts'
import type { Context } from '../../src/context.ts'
import { Cleanup } from '../../src/util/cleanup.ts'
import { bootProbed, openPlace } from '../../src/verify/container/boot.ts'
import type { Inventory } from '../../src/verify/inventory.ts'

/** Boots the base in a container with this user-data, waits until all is quiet, and looks at what came of it. */
export async function inventoryOf(context: Context, base: Base, userData: string): Promise<Inventory> {
  await using stack = new Cleanup()
  const raw = stack.use(await baseRaw(context, { name: base.name, digest: base.digest, path: base.path }))
  const place = stack.use(await openPlace(context, raw.path, 'original'))
  const consoleLog = join(place.work, 'console.log')
  const { probe } = stack.use(
    await bootProbed(context, place, {
      ...{ userData: Buffer.from(userData), role: 'original', consoleLog, onLine: () => {} },
    }),
  )
  await probe.settle()
  return await probe.inventory()
}
