import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Base } from '../../src/base/model.ts'
import { findBase } from '../../src/base/cache.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { builtInAllowances } from '../../src/verify/allowed.ts'
import { compare, countCompared, type Difference } from '../../src/verify/compare.ts'
import { containerRunner } from '../../src/verify/container/host.ts'
import { explain, type Allowance } from '../../src/verify/explain.ts'
import type { Inventory } from '../../src/verify/inventory.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { cliJson, vmEnvironment } from '../vm/support.ts'
import { inventoryOf } from './hosts.ts'

/** What was imported provisions what the original does: both on real systemd and real cloud-init, then compared. */

const originals = join(repository, 'test', 'fixtures', 'import')

/** What only a host with the agent has. */
const agentsOwn: readonly Allowance[] = [
  '/usr/local/sbin/parbake-agent',
  '/etc/parbake',
  '/etc/parbake/**',
  '/etc/cron.d/parbake',
  '/etc/systemd/system/multi-user.target.wants/parbake-boot.service',
  '/etc/systemd/system/parbake-boot.service',
  '/var/lib/parbake',
  '/var/log/parbake.log',
].map((glob) => ({ id: 'agent', kind: 'file', glob, reason: 'the agent', source: 'recipe' }))

/** What any two hosts differ in, and what accounts are numbered by: cloud-init makes the default user first here. */
const ofHosts: readonly Allowance[] = [
  { ...{ id: 'agent', kind: 'unit', glob: 'parbake-boot.service', source: 'recipe' }, reason: 'the agent' },
  {
    ...{ id: 'host', kind: 'sysctl', glob: '/proc/sys/net/ipv4/tcp_fastopen_key', source: 'recipe' },
    reason: 'random',
  },
  {
    ...{ id: 'numbers', kind: 'user', glob: '*', aspects: ['id'], source: 'recipe' },
    reason: 'given in another order',
  },
  {
    ...{ id: 'numbers', kind: 'group', glob: '*', aspects: ['id'], source: 'recipe' },
    reason: 'given in another order',
  },
  {
    ...{ id: 'date', kind: 'file', glob: '/etc/sudoers.d/90-cloud-init-users', aspects: ['content'], source: 'recipe' },
    reason: 'says when it was written; sizes are compared',
  },
]

/** `1000 ada` and `1001 ada` own the same. */
const isSameOwner = ({ aspect, base: was, image }: Difference) =>
  ['owner', 'group'].includes(aspect) && was?.replace(/^\d+ /, '') === image?.replace(/^\d+ /, '')

/** The size of what differs, where it is told. */
const sizeOf = (text = '') => /^(\d+) bytes/.exec(text)?.[1]

let home: CliHome
let env: Record<string, string>
let context: Context
let base: Base

const isRoot = process.getuid?.() === 0

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  await cliJson(home, env, 'keys', 'init')
  await cliJson(home, env, 'base', 'build', 'debian-12')
  const config = await loadConfig(home.cwd, undefined, env)
  context = { config, reporter: { emit: () => {}, close: () => {} }, signal: new AbortController().signal }
  base = await findBase('debian-12', context)
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

/** A host from the base that gets the recipe by the agent. */
async function provisioned(folder: string): Promise<Inventory> {
  await cliJson(home, env, 'publish', folder)
  const recipe = await loadRecipe(folder)
  const disk = { path: base.path, base: base.name, digest: base.digest, imageId: '' }
  await using prepared = await containerRunner.prepare(context, disk)
  const request = { recipe, channel: context.config.channel, disk: prepared.disk, role: 'recipe' }
  await using host = await containerRunner.start(context, request)
  return await host.inventory()
}

/** What Packer does with the template, as one script. */
const packerByHand = `#!/bin/sh
set -e
cd
install -m 0644 /dev/stdin /etc/site-release <<'END'
site 1.4.2
END
install -m 0755 /dev/stdin /tmp/publish.sh <<'END'
${readFileSync(join(originals, 'packer/files/publish.sh'), 'utf8')}END
mkdir -p /srv/site/pages
for page in index about; do
  install -m 0644 /dev/stdin "/srv/site/pages/$page.html" <<END
<p>$page
END
done
export DEBIAN_FRONTEND=noninteractive SITE_VERSION=1.4.2 SITE_TITLE='A site: 1.4.2'
apt-get -q update
apt-get -q -y install --no-install-recommends lighttpd jq
echo "version 1.4.2" >/srv/site/version
echo '1.4.2 stays' >/srv/site/quoted
/tmp/publish.sh
sh <<'END'
${readFileSync(join(originals, 'packer/scripts/harden.sh'), 'utf8')}END
`

/** Imports an original and boots both; every difference that nothing explains. */
async function differences(original: string, userData?: string): Promise<readonly string[]> {
  const file = join(originals, original)
  const folder = join(home.cwd, basename(original).replace(/\..*/, ''))
  await cliJson(home, env, 'import', file, '--output', folder)
  const [theirs, ours] = await Promise.all([
    inventoryOf(context, base, userData ?? (await readFile(file, 'utf8'))),
    provisioned(folder),
  ])
  expect(countCompared(theirs, ours).file).toBeGreaterThan(10_000)
  const found = compare(theirs, ours).filter((difference) => !isSameOwner(difference))
  const { unexplained, explained } = explain(found, [...builtInAllowances, ...agentsOwn, ...ofHosts], [])
  for (const { by, difference } of explained) {
    if (by.id === 'date') expect(sizeOf(difference.base)).toBe(sizeOf(difference.image))
  }
  return unexplained.map(
    ({ kind, name, aspect, base: was, image }) => `${kind} ${name} ${aspect}: ${was ?? 'none'} -> ${image ?? 'none'}`,
  )
}

describe.skipIf(!isRoot)('an imported recipe ends where its original does', () => {
  test('a cloud-config', async () => {
    expect(await differences('cloud-web.yaml')).toEqual([])
  })

  test('a shell script', async () => {
    expect(await differences('notes-app.sh')).toEqual([])
  })

  test('a template for Packer', async () => {
    expect(await differences('packer/site.pkr.hcl', packerByHand)).toEqual([])
  })
})
