import { z } from 'zod'
import { commonShape } from './common.ts'
import { managers, renderPackages, type PackageNames } from './package-managers.ts'
import { checkRepositories, renderRepositories, repositorySchema } from './repositories.ts'
import { defineStepType } from './types.ts'

const packageName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9+._-]*(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~^_-]+)?$/,
    'must be a package name, or name=version to pin it',
  )

const names = z.union([packageName, z.array(packageName)])

const entry = z.union([
  packageName,
  z
    .strictObject({
      apt: names.optional().meta({ description: 'On hosts with apt-get.' }),
      dnf: names.optional().meta({ description: 'On hosts with dnf.' }),
      apk: names.optional().meta({ description: 'On hosts with apk.' }),
      zypper: names.optional().meta({ description: 'On hosts with zypper.' }),
      other: names.optional().meta({ description: 'On all other hosts. Absent: the step fails there. []: none.' }),
    })
    .refine((given) => Object.keys(given).length > 0, 'must name apt, dnf, apk, zypper or other'),
])

const schema = z
  .strictObject({
    type: z.literal('packages').meta({ description: 'Installs and removes packages.' }),
    ...commonShape,
    install: z.array(entry).min(1).optional().meta({
      description:
        'Packages to install: names, name=version to pin one, or a mapping of package managers to names where these differ.',
    }),
    remove: z.array(entry).min(1).optional().meta({ description: 'Packages to remove, in the same form.' }),
    repositories: z.array(repositorySchema).min(1).optional().meta({
      description: 'Further sources of packages, with the keys that sign them.',
    }),
    unless: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9+._-]*$/, 'must be the name of a command')
      .optional()
      .meta({ description: 'Do nothing on hosts that have this command already, from wherever.' }),
    recommended: z.boolean().optional().meta({
      description: "Install what packages recommend too, unless the host's own settings say otherwise. Default false.",
    }),
    update: z.boolean().optional().meta({
      description: 'Fetch the package lists before, once per converge. Default true.',
    }),
  })
  .meta({ description: 'Installs and removes packages by apt-get, dnf, zypper or apk, whichever the host has.' })

/** Installs packages with the host's package manager. */
export const packages = defineStepType({
  name: 'packages',
  summary: 'packages (install, remove), by apt-get, dnf, zypper or apk, without recommended ones; repositories',
  schema,
  packageManager: true,
  check: async (raw, context) => {
    const { install, remove, repositories } = raw
    if (install === undefined && remove === undefined && repositories === undefined) {
      context.report([], "must have 'install', 'remove' or 'repositories'")
    }
    await checkRepositories(repositories, context)
  },
  render: async (spec, context) => {
    const { install = [], remove = [], repositories = [], recommended = false, update = true, unless } = spec
    const sources = await renderRepositories(repositories, context)
    if (sources === undefined) return undefined
    const script = renderPackages({
      install: install.map(namesOf),
      remove: remove.map(namesOf),
      ...(unless === undefined ? {} : { unless }),
      recommended,
      update,
      repositories: sources.script,
    })
    return { script, files: sources.files }
  },
  effects: ({ install = [] }) => ({ packages: install.flatMap((given) => namesOf(given)['apt-get'] ?? []) }),
})

/** What to give to each package manager; undefined where nothing was said. */
function namesOf(given: z.infer<typeof entry>): PackageNames {
  const list = (value: string | readonly string[] | undefined) => (typeof value === 'string' ? [value] : value)
  if (typeof given === 'string') return Object.fromEntries(managers.map((manager) => [manager, [given]]))
  return Object.fromEntries(
    managers.map((manager) => [manager, list(given[manager === 'apt-get' ? 'apt' : manager] ?? given.other)]),
  )
}
