import { createReadStream } from 'node:fs'
import { access, chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Context } from '../context.ts'
import { UserError } from '../errors.ts'
import { run } from '../system/run.ts'
import { tempDir } from '../system/temp.ts'
import { needTool } from '../system/tools.ts'
import { sha256 } from '../util/sha256.ts'
import type { Archive } from './model.ts'
import { pockets, VersionCollector, type ArchiveVersions, type Pocket } from './pending.ts'

/** Bounds one look at an archive: about 10 MB are to be fetched. */
const timeoutMs = 120_000

/** apt's lines for an archive: the suite, its updates and its security fixes. `options` go in front, as in `[a=b]`. */
export function aptLines(
  archive: Pick<Archive, 'mirror' | 'securityMirror' | 'suite' | 'components'>,
  options = '',
): readonly string[] {
  const start = options === '' ? 'deb' : `deb [${options}]`
  const components = archive.components.join(' ')
  return [
    `${start} ${archive.mirror} ${archive.suite} ${components}`,
    `${start} ${archive.mirror} ${archive.suite}-updates ${components}`,
    `${start} ${archive.securityMirror} ${archive.suite}-security ${components}`,
  ]
}

/**
 * The versions that an archive has today of some packages. apt fetches the indexes, into a folder of its own, and holds
 * them to the archive's signature and digests. Throws UserError where anything is missing, cannot be reached or fails
 * verification: what was not verified is not known.
 */
export async function archiveVersions(
  archive: Archive,
  wanted: ReadonlySet<string>,
  context: Pick<Context, 'reporter' | 'signal'>,
): Promise<ArchiveVersions> {
  const apt = await needTool('apt-get', 'look for newer packages')
  await access(archive.keyring).catch(() => {
    throw new UserError(`${archive.keyring} is missing, without which no archive can be verified`, {
      hint: 'install it: apt-get install debian-archive-keyring (on Debian and Ubuntu)',
      code: 'keyring-missing',
    })
  })
  await using folder = await tempDir('apt')
  // apt fetches as a user of its own.
  await chmod(folder.path, 0o755)
  const config = await writeAptConfig(folder.path, archive, context.signal)
  const options = {
    env: { APT_CONFIG: config, LC_ALL: 'C.UTF-8' },
    ...{ timeoutMs, purpose: 'look for newer packages', reporter: context.reporter, signal: context.signal },
  }
  await run(apt, ['update', '-qq', '-o', 'APT::Update::Error-Mode=any'], options)
  const { stdout } = await run(apt, ['indextargets', '--format', '$(CREATED_BY) $(RELEASE) $(FILENAME)'], options)
  return await readIndexes(stdout, join(folder.path, 'state/lists'), archive, wanted)
}

async function readIndexes(
  targets: string,
  lists: string,
  archive: Archive,
  wanted: ReadonlySet<string>,
): Promise<ArchiveVersions> {
  const collectors: Record<Pocket, VersionCollector> = {
    suite: new VersionCollector(wanted),
    updates: new VersionCollector(wanted),
    security: new VersionCollector(wanted),
  }
  const seen = new Set<Pocket>()
  for (const line of targets.split('\n')) {
    const [kind, release = '', file] = line.split(' ')
    if (kind !== 'Packages' || file === undefined) continue
    const pocket = pockets.find((candidate) => releaseName(candidate, archive.suite) === release)
    if (pocket === undefined) continue
    for await (const text of createInterface({ input: createReadStream(file, 'utf8') })) collectors[pocket].line(text)
    seen.add(pocket)
  }
  for (const pocket of pockets) {
    if (seen.has(pocket) || (await saysEmpty(lists, releaseName(pocket, archive.suite), archive.architecture))) continue
    throw new UserError(`the archive has no index of packages for ${releaseName(pocket, archive.suite)}`, {
      code: 'archive-incomplete',
    })
  }
  const { suite, updates, security } = collectors
  return { suite: suite.versions, updates: updates.versions, security: security.versions }
}

function releaseName(pocket: Pocket, suite: string): string {
  return pocket === 'suite' ? suite : `${suite}-${pocket}`
}

/** apt keeps no index without packages, as those of a young release's updates are: its verified release file tells. */
async function saysEmpty(lists: string, release: string, architecture: string): Promise<boolean> {
  const name = (await readdir(lists)).find((entry) => entry.endsWith(`_dists_${release}_InRelease`))
  const text = name === undefined ? '' : await readFile(join(lists, name), 'utf8')
  return new RegExp(`^ ${sha256('')} +0 .+/binary-${architecture}/Packages$`, 'm').test(text)
}

/**
 * Settings under which apt reads and writes nothing of this machine's own, but fetches as this machine is set up to
 * fetch: proxies, time limits and the like.
 */
async function writeAptConfig(folder: string, archive: Archive, signal: AbortSignal): Promise<string> {
  const empty = ['etc/apt/apt.conf.d', 'etc/apt/preferences.d', 'state/lists/partial', 'cache/archives/partial']
  for (const path of empty) {
    await mkdir(join(folder, path), { recursive: true })
  }
  const signedBy = `signed-by=${archive.keyring} arch=${archive.architecture}`
  await writeFile(join(folder, 'etc/apt/sources.list'), `${aptLines(archive, signedBy).join('\n')}\n`)
  await writeFile(join(folder, 'status'), '')
  const { stdout } = await run(await needTool('apt-config', 'look for newer packages'), ['dump', 'Acquire'], { signal })
  const fetching = stdout
    .split('\n')
    .filter((line) => line.startsWith('Acquire::') && !/^Acquire::(IndexTargets|GzipIndexes|Languages)\b/.test(line))
  const own = {
    Dir: folder,
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': join(folder, 'status'),
    'Dir::Cache': join(folder, 'cache'),
    'APT::Architecture': archive.architecture,
    'APT::Architectures': archive.architecture,
    'Acquire::Languages': 'none',
    'Acquire::GzipIndexes': 'false',
    'Acquire::Retries': '1',
  }
  const path = join(folder, 'apt.conf')
  const lines = Object.entries(own).map(([key, value]) => `${key} "${value}";`)
  await writeFile(path, `${[...fetching, ...lines].join('\n')}\n`)
  return path
}
