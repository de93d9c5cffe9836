import { spawnSync } from 'node:child_process'
import { findTool } from '../../src/system/tools.ts'
import type { Contender, Need } from './contender.ts'

/** Debian packages that the contenders lack here. */
export async function missingPackages(contenders: readonly Contender[]): Promise<readonly string[]> {
  const missing = new Set<string>()
  for (const need of contenders.flatMap(({ needs }) => needs))
    if (!(await isThere(need))) missing.add(need.debianPackage)
  return [...missing]
}

async function isThere({ proof }: Need): Promise<boolean> {
  return 'program' in proof ? (await findTool(proof.program)) !== undefined : proof.isThere()
}

/** Installs Debian packages. Throws where apt-get does not succeed. */
export function aptInstall(packages: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [
    ['-q', 'update'],
    ['-q', '-y', '-o', 'DPkg::Lock::Timeout=600', 'install', '--no-install-recommends', ...packages],
  ]) {
    const { status, error } = spawnSync('apt-get', args, { env, stdio: ['ignore', 2, 2] })
    if (error !== undefined) throw error
    if (status !== 0) throw new Error(`apt-get ${args.join(' ')} ended with ${status}`)
  }
}
