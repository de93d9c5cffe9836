import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BakeResult } from '../../src/bake/bake.ts'
import type { Base } from '../../src/base/model.ts'
import { findBase } from '../../src/base/cache.ts'
import type { Context } from '../../src/context.ts'
import { loadConfig } from '../../src/load-config.ts'
import type { Report } from '../../src/profile/report.ts'
import { loadRecipe } from '../../src/recipe/load.ts'
import { builtInAllowances } from '../../src/verify/allowed.ts'
import { compare, countCompared, type Difference } from '../../src/verify/compare.ts'
import { containerRunner } from '../../src/verify/container/host.ts'
import { explain, type Allowance } from '../../src/verify/explain.ts'
import type { Inventory } from '../../src/verify/inventory.ts'
import { cliHome, type CliHome } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'
import { cliJson, fullOnly, vmEnvironment } from '../vm/support.ts'
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
    ...{
      id: 'keys',
      kind: 'file',
      glob: '/srv/backup/.ssh/**',
      aspects: ['existence'],
      source: 'recipe',
    },
    reason: 'empty: cloud-init makes it for a user without keys when it prints fingerprints at the end of a boot',
  },
  {
    ...{ id: 'sudo', kind: 'file', glob: '/etc/sudoers.d/90-cloud-init-users', aspects: ['content'], source: 'recipe' },
    reason: 'holds the default user only, and says when it was written: a `user` step has a file of its own',
  },
  {
    ...{ id: 'sudo', kind: 'file', glob: '/etc/sudoers.d/parbake-ada', aspects: ['existence'], source: 'recipe' },
    reason: 'what cloud-init would have written to the file of all users',
  },
  {
    ...{ id: 'keys', kind: 'file', glob: '/home/ada/.ssh/authorized_keys', aspects: ['content'], source: 'recipe' },
    reason: 'a `user` step marks its part',
  },
]

/** `1000 ada` and `1001 ada` own the same. */
const isSameOwner = ({ aspect, base: was, image }: Difference) =>
  ['owner', 'group'].includes(aspect) && was?.replace(/^\d+ /, '') === image?.replace(/^\d+ /, '')

let home: CliHome
let env: Record<string, string>
let context: Context

const isRoot = process.getuid?.() === 0

beforeAll(async () => {
  home = await cliHome()
  env = await vmEnvironment(home)
  await cliJson(home, env, 'keys', 'init')
  const config = await loadConfig(home.cwd, undefined, env)
  context = { config, reporter: { emit: () => {}, close: () => {} }, signal: new AbortController().signal }
})

afterAll(async () => {
  await home[Symbol.asyncDispose]()
})

interface Provisioned {
  readonly inventory: Inventory
  readonly report: Report
}

/** A host from the base that gets the recipe by the agent. */
async function provisioned(folder: string, base: Base): Promise<Provisioned> {
  await cliJson(home, env, 'publish', folder)
  const recipe = await loadRecipe(folder)
  const disk = { path: base.path, base: base.name, digest: base.digest, imageId: '' }
  await using prepared = await containerRunner.prepare(context, disk)
  const request = { recipe, channel: context.config.channel, disk: prepared.disk, role: 'recipe' }
  await using host = await containerRunner.start(context, request)
  return { inventory: await host.inventory(), report: host.report }
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
printf '%s\\n' one two >/srv/site/words
echo "version 1.4.2" >/srv/site/version
echo '1.4.2 stays' >/srv/site/quoted
/tmp/publish.sh
sh <<'END'
${readFileSync(join(originals, 'packer/scripts/harden.sh'), 'utf8')}END
`

interface Compared {
  /** Every difference that nothing explains. */
  readonly unexplained: readonly string[]
  readonly folder: string
  readonly report: Report
}

/** Imports an original, boots both and compares them. */
async function compared(
  original: string,
  { userData, release = 'debian-12' }: { readonly userData?: string; readonly release?: string } = {},
): Promise<Compared> {
  await cliJson(home, env, 'base', 'build', release)
  const base = await findBase(release, context)
  const file = join(originals, original)
  const folder = join(home.cwd, basename(original).replace(/\..*/, ''))
  await cliJson(home, env, 'import', file, '--output', folder, '--force')
  const [theirs, ours] = await Promise.all([
    inventoryOf(context, base, userData ?? (await readFile(file, 'utf8'))),
    provisioned(folder, base),
  ])
  expect(countCompared(theirs, ours.inventory).file).toBeGreaterThan(10_000)
  const found = compare(theirs, ours.inventory).filter((difference) => !isSameOwner(difference))
  const { unexplained } = explain(found, [...builtInAllowances, ...agentsOwn, ...ofHosts], [])
  const lines = unexplained.map(
    ({ kind, name, aspect, base: was, image }) => `${kind} ${name} ${aspect}: ${was ?? 'none'} -> ${image ?? 'none'}`,
  )
  return { unexplained: lines, folder, report: ours.report }
}

describe.skipIf(!isRoot)('an imported recipe ends where its original does', () => {
  test('a cloud-config of 200 lines; and it can be baked as it is', async () => {
    const { unexplained, folder, report } = await compared('web-host.yaml')
    expect(unexplained).toEqual([])
    // As from a launch: what verifies tells no one what a boot costs.
    const reports = join(fileURLToPath(context.config.store), 'reports', 'web-host', 'dt=2026-11-20')
    await mkdir(reports, { recursive: true })
    await writeFile(join(reports, `${report.host}-${report.run}.json`), JSON.stringify({ ...report, purpose: 'fleet' }))
    const bake = [
      'bake',
      folder,
      '--engine',
      'container',
      '--output',
      'disk.qcow2',
      '--no-verify',
      '--objective',
      'fastest',
    ]
    const { manifest } = await cliJson<BakeResult>(home, env, ...bake)
    expect(manifest.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['packages', 'user-ada', 'ca-certs']))
  })

  test.runIf(fullOnly)('the same cloud-config with a newer cloud-init', async () => {
    expect((await compared('web-host.yaml', { release: 'debian-13' })).unexplained).toEqual([])
  })

  test('a shell script', async () => {
    expect((await compared('notes-app.sh')).unexplained).toEqual([])
  })

  test('a template for Packer', async () => {
    expect((await compared('packer/site.pkr.hcl', { userData: packerByHand })).unexplained).toEqual([])
  })
})
