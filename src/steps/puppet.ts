import { posix } from 'node:path'
import { z } from 'zod'
import type { RenderedFile } from '../recipe/model.ts'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { prologue } from './shell.ts'
import { defineStepType, type RenderContext } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('puppet').meta({ description: 'Applies Puppet manifests on the host itself.' }),
    ...commonShape,
    manifest: z.string().min(1).meta({ description: 'A manifest, or a folder of them, of the recipe folder.' }),
    modules: z.string().min(1).optional().meta({
      description: 'A folder of the recipe folder with modules. Those of the host are found besides.',
    }),
    hiera: z.string().min(1).optional().meta({
      description: 'The hiera.yaml: a file of the recipe folder. Its data goes under inputs.',
    }),
    facts: z
      .record(
        z.string().regex(/^[a-z][a-z0-9_]*$/, 'is no name of a fact (a-z, 0-9 and _)'),
        z.union([z.string(), z.number(), z.boolean()], { error: 'must be a text, a number, true or false' }),
      )
      .optional()
      .meta({ description: 'Further facts. Values may use {{param}}.' }),
    install: z.boolean().optional().meta({
      description: 'false: Puppet is there already. Default true: a step puppet-software installs it before.',
    }),
  })
  .meta({ description: 'Applies Puppet manifests on the host itself; fails where a resource fails.' })

type PuppetSpec = z.infer<typeof schema>

/** Applies manifests. */
export const puppet = defineStepType({
  name: 'puppet',
  summary: 'Puppet manifests of the recipe (manifest, modules), on the host itself, with facts',
  schema,
  packageManager: true,
  check: async (raw, context) => {
    await readParts(raw, context)
    const { facts } = raw
    if (typeof facts === 'object' && facts !== null) await fillFacts(Object.entries(facts), context)
  },
  render: async (spec, context) => {
    const files = await readParts(spec, context)
    const facts = await fillFacts(Object.entries(spec.facts ?? {}), context)
    return files && facts && { script: renderApply(spec, facts), files }
  },
  requiresSoftware: ({ install }) =>
    install === false
      ? undefined
      : {
          step: 'puppet-software',
          description: 'Puppet, for the steps of type puppet.',
          install: [{ apt: 'puppet-agent', other: 'puppet' }],
        },
})

async function readParts(
  raw: Readonly<Record<string, unknown>>,
  context: RenderContext,
): Promise<RenderedFile[] | undefined> {
  const files: RenderedFile[] = []
  let complete = true
  for (const key of ['manifest', 'modules', 'hiera']) {
    const relative = raw[key]
    const found = typeof relative === 'string' ? await context.readFiles([key], relative) : []
    complete &&= found !== undefined
    files.push(...(found ?? []))
  }
  return complete ? files : undefined
}

async function fillFacts(
  facts: readonly (readonly [string, unknown])[],
  context: RenderContext,
): Promise<readonly (readonly [string, string])[] | undefined> {
  const filled: [string, string][] = []
  for (const [name, value] of facts) {
    const text = await context.fill(String(value), ['facts', name])
    if (text !== undefined) filled.push([name, text])
  }
  return filled.length === facts.length ? filled : undefined
}

const hostModules = [
  '/etc/puppet/code/modules',
  '/usr/share/puppet/modules',
  '/etc/puppetlabs/code/modules',
  '/opt/puppetlabs/puppet/modules',
]

/** What Puppet writes besides its work goes away with the step. Exit codes: 2 changed something, 4 and 6 failed in part. */
function renderApply({ manifest, modules, hiera }: PuppetSpec, facts: readonly (readonly [string, string])[]): string {
  const here = (path: string) => `"$PWD"/${shQuote(posix.normalize(path))}`
  const path = [...(modules === undefined ? [] : [here(modules)]), hostModules.join(':')].join(':')
  return `${prologue}PATH=$PATH:/opt/puppetlabs/bin
have puppet || fail 'puppet is not on this host: remove install: false, or install it in a step that this one needs'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
${facts.map(([name, value]) => `export FACTER_${name}=${shQuote(value)}\n`).join('')}status=0
puppet apply --detailed-exitcodes --color=false --confdir "$work/conf" --vardir "$work/var" --rundir "$work/run" \\
  --logdir "$work/log" --modulepath ${path}${hiera === undefined ? '' : ` --hiera_config ${here(hiera)}`} \\
  ${shQuote(manifest)} || status=$?
case $status in
0 | 2) ;;
4 | 6) fail 'Puppet could not bring every resource to what it should be' ;;
*) fail "Puppet failed with exit status $status" ;;
esac
`
}
