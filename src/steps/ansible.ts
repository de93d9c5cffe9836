import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { readOneFile } from './fields.ts'
import { ownPath, prologue } from './shell.ts'
import { defineStepType, type RenderContext } from './types.ts'

const tags = z.array(z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_-]*$/, 'must be a tag: letters, digits, _ and -')).min(1)

const schema = z
  .strictObject({
    type: z.literal('ansible').meta({ description: 'Runs an Ansible playbook on the host itself.' }),
    ...commonShape,
    playbook: z.string().min(1).meta({
      description: 'The playbook: a file of the recipe folder. Roles and other files that it uses go under inputs.',
    }),
    vars: z
      .record(
        z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of a variable (letters, digits and _)'),
        z.unknown(),
      )
      .optional()
      .meta({ description: 'Variables, stronger than all others. Texts may use {{param}}; \\{{ is for Ansible.' }),
    tags: tags.optional().meta({ description: 'Only what has one of these tags.' }),
    skipTags: tags.optional().meta({ description: 'Not what has one of these tags.' }),
    install: z.boolean().optional().meta({
      description: 'false: Ansible is there already. Default true: a step ansible-software installs it before.',
    }),
  })
  .meta({ description: 'Runs an Ansible playbook on the host itself, with a local connection.' })

/** Runs a playbook. */
export const ansible = defineStepType({
  name: 'ansible',
  summary: 'an Ansible playbook of the recipe (playbook), on the host itself, with vars and tags',
  schema,
  packageManager: true,
  check: async ({ playbook, vars }, context) => {
    if (typeof playbook === 'string') await readOneFile(['playbook'], playbook, context)
    if (typeof vars === 'object' && vars !== null) await fillTexts(vars, ['vars'], context)
  },
  render: async (spec, context) => {
    const playbook = await readOneFile(['playbook'], spec.playbook, context)
    const vars = await fillTexts(spec.vars ?? {}, ['vars'], context)
    if (playbook === undefined || vars === undefined) return undefined
    const options = [
      ...(spec.vars === undefined ? [] : [`--extra-vars @${varsPath}`]),
      ...(spec.tags === undefined ? [] : [`--tags ${spec.tags.join(',')}`]),
      ...(spec.skipTags === undefined ? [] : [`--skip-tags ${spec.skipTags.join(',')}`]),
    ]
    const content = Buffer.from(`${JSON.stringify(vars.value)}\n`)
    return {
      script: renderPlay(playbook.path, options),
      files: [playbook, ...(spec.vars === undefined ? [] : [{ path: varsPath, executable: false, content }])],
    }
  },
  requiresSoftware: ({ install }) =>
    install === false
      ? undefined
      : {
          step: 'ansible-software',
          description: 'Ansible, for the steps of type ansible.',
          // Without python3-apt a playbook that installs packages fetches it by itself, unmeasured.
          install: [
            { apt: ['ansible-core', 'python3-apt'], dnf: 'ansible-core', apk: 'ansible-core', zypper: 'ansible' },
          ],
        },
})

const varsPath = ownPath('vars.json')

/** What Ansible writes besides its work goes away with the step. */
function renderPlay(playbook: string, options: readonly string[]): string {
  return `${prologue}have ansible-playbook || fail 'ansible-playbook is not on this host: remove install: false, or install it in a step that this one needs'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export ANSIBLE_HOME="$work" ANSIBLE_LOCAL_TEMP="$work/local" ANSIBLE_REMOTE_TEMP="$work/remote"
export ANSIBLE_NOCOLOR=1 ANSIBLE_RETRY_FILES_ENABLED=0 ANSIBLE_LOCALHOST_WARNING=0
export ANSIBLE_PYTHON_INTERPRETER=auto_silent PYTHONDONTWRITEBYTECODE=1
ansible-playbook --inventory localhost, --connection local ${[...options, shQuote(playbook)].join(' ')}
`
}

/** The value with all texts in it filled in; undefined where a problem was reported. */
async function fillTexts(
  value: unknown,
  path: readonly (string | number)[],
  context: RenderContext,
): Promise<{ readonly value: unknown } | undefined> {
  if (typeof value === 'string') {
    const text = await context.fill(value, path)
    return text === undefined ? undefined : { value: text }
  }
  if (typeof value !== 'object' || value === null) return { value }
  const keys = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  const filled: [string | number, unknown][] = []
  for (const key of keys) {
    const inner = await fillTexts((value as Record<string | number, unknown>)[key], [...path, key], context)
    if (inner !== undefined) filled.push([key, inner.value])
  }
  if (filled.length < keys.length) return undefined
  return { value: Array.isArray(value) ? filled.map(([, item]) => item) : Object.fromEntries(filled) }
}
