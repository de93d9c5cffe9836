import { z } from 'zod'
import { commonShape } from './common.ts'
import { defineStepType } from './types.ts'

const packagePattern = /^[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?$/

const schema = z
  .strictObject({
    type: z.literal('packages').meta({ description: 'Installs Debian packages.' }),
    ...commonShape,
    install: z
      .array(z.string().regex(packagePattern, 'must be a package name, or name=version to pin it'))
      .min(1)
      .meta({ description: 'Packages to install: names, or name=version to pin one.' }),
    update: z.boolean().optional().meta({ description: 'Fetch the package lists before. Default true.' }),
  })
  .meta({ description: 'Installs Debian packages with apt-get, without recommended ones.' })

/** Installs Debian packages with apt-get. */
export const packages = defineStepType({
  name: 'packages',
  summary: 'Debian packages (install), by apt-get without recommended ones',
  schema,
  packageManager: true,
  render: async (spec) => ({ script: renderPackages(spec.install, spec.update ?? true), files: [] }),
  effects: (spec) => ({ packages: spec.install }),
})

/**
 * The install script. apt waits for the dpkg lock by itself, but not for the lock of the package lists, and mirrors
 * fail now and then: hence the retries.
 */
function renderPackages(names: readonly string[], update: boolean): string {
  return `#!/bin/sh
set -eu
if ! command -v apt-get >/dev/null 2>&1; then
  echo "parbake: this step installs Debian packages, but this host has no apt-get" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt() {
  tries=1
  until apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o APT::Update::Error-Mode=any \\
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; do
    if [ "$tries" -ge 4 ]; then
      echo "parbake: apt-get $1 failed $tries times" >&2
      return 1
    fi
    sleep "$((tries * 3))"
    tries=$((tries + 1))
  done
}
${update ? 'apt update\n' : ''}apt install --no-install-recommends -- ${names.join(' ')}
`
}
