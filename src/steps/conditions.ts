import { z } from 'zod'
import { compareCodeUnits } from '../util/canonical-json.ts'
import { namePattern, nameRule } from '../util/name.ts'

const versionRule = 'must be a version of digits and dots, quoted where it has a dot: 22.10 and 22.1 are one number'

const version = z
  .union([z.number(), z.string()], { error: versionRule })
  .refine((value) => (typeof value === 'number' ? Number.isInteger(value) && value >= 0 : true), versionRule)
  .transform(String)
  .refine((text) => /^\d{1,6}(?:\.\d{1,6}){0,3}$/.test(text), versionRule)

const word = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*$/, 'must be one word of letters, digits, dots, _, + and -')
  .transform((text) => text.toLowerCase())

/** As the kernel calls it, whatever a distribution does. */
const architectures: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' }

const arch = word.transform((text) => architectures[text] ?? text)

const tag = z.string().regex(namePattern, nameRule)

function anyOf<T extends z.ZodType>(value: T) {
  return z.union([value, z.array(value).min(1)], { error: 'must be one value or a list of some' })
}

const range = z.strictObject({
  'at-least': version.optional().meta({ description: 'This version or a later one.' }),
  below: version.optional().meta({ description: 'Only versions before this one.' }),
})

const words = {
  os: anyOf(word).optional().meta({ description: 'ID of /etc/os-release: debian, ubuntu, …' }),
  'os-like': anyOf(word).optional().meta({ description: 'ID or ID_LIKE of /etc/os-release: debian for Ubuntu too.' }),
  arch: anyOf(arch)
    .optional()
    .meta({ description: 'Architecture as uname -m says: x86_64, aarch64, …; amd64 and arm64 are understood.' }),
  platform: anyOf(word)
    .optional()
    .meta({ description: 'Cloud as cloud-init calls it: aws, gce, azure, nocloud, … Never baked.' }),
  tag: anyOf(tag).optional().meta({ description: 'A tag that user-data gave to the host. Never baked.' }),
}

/** The key `if` of a step: keys are all of, lists are any of, `not` is none of. */
export const conditionSchema = z
  .strictObject({
    ...words,
    'os-version': z
      .union([version, z.array(version).min(1), range], {
        error: 'must be a version, a list of some, or a mapping with at-least and below',
      })
      .optional()
      .meta({ description: 'VERSION_ID of /etc/os-release: one, several, or from and below which.' }),
    not: z
      .strictObject({
        ...words,
        'os-version': anyOf(version).optional().meta({ description: 'VERSION_ID of /etc/os-release.' }),
      })
      .optional()
      .meta({ description: 'What the host must not be: none of these may hold.' }),
  })
  .meta({ description: 'Hosts that run the step; on others it is not applicable, and what needs it runs.' })

export type ConditionSpec = z.output<typeof conditionSchema>

/** What a condition can ask about, in the order of its lines. */
const facts = ['os', 'os-version', 'os-like', 'arch', 'platform', 'tag'] as const

/** Facts that may differ between a bake and the hosts of its image. */
const hostFacts: ReadonlySet<string> = new Set(['platform', 'tag'] satisfies (typeof facts)[number][])

/**
 * A condition as hosts read it: lines `FACT OP VALUE[,VALUE…]`, all of which must hold. `is`: the fact is one of the
 * values; `not`: none of them; `at-least` and `below` compare one version, number by number.
 */
export function conditionLines(spec: ConditionSpec): readonly string[] {
  return facts.flatMap((fact) => {
    const wanted = spec[fact]
    const unwanted = spec.not?.[fact]
    return [
      ...(wanted === undefined
        ? []
        : typeof wanted === 'object' && !Array.isArray(wanted)
          ? (['at-least', 'below'] as const).flatMap((op) =>
              wanted[op] === undefined ? [] : [`${fact} ${op} ${wanted[op]}`],
            )
          : [`${fact} is ${listed(wanted)}`]),
      ...(unwanted === undefined ? [] : [`${fact} not ${listed(unwanted)}`]),
    ]
  })
}

/** The facts that lines ask about and that a bake cannot know of the hosts. */
export function hostFactsOf(lines: readonly string[]): readonly string[] {
  const asked = new Set(lines.map((line) => line.split(' ')[0]))
  return facts.filter((fact) => hostFacts.has(fact) && asked.has(fact))
}

/** The order in which values are written changes nothing, so it must not change the digest. */
function listed(values: string | readonly string[]): string {
  return [...new Set(typeof values === 'string' ? [values] : values)].toSorted(compareCodeUnits).join(',')
}
