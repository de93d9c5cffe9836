import { basename } from 'node:path'
import { z } from 'zod'
import type { RenderedFile } from '../recipe/model.ts'
import { namePattern, nameRule } from '../util/name.ts'
import { shQuote } from '../util/sh-quote.ts'
import type { YamlPath } from '../util/yaml.ts'
import { fillUrl, readOneFile } from './fields.ts'
import { ownPath } from './shell.ts'
import type { RenderContext } from './types.ts'

const url = z.string().min(1).meta({ description: 'Where it is: http:// or https://. May use {{param}}.' })

const key = z.string().min(1).meta({
  description:
    'The public key that signs it: a file of the recipe folder, or the key itself (BEGIN PGP PUBLIC KEY BLOCK).',
})

const word = z.string().regex(/^[A-Za-z0-9.][A-Za-z0-9._/+-]*$/, 'must be one word of letters, digits, . _ / + and -')

const rpm = z.strictObject({ url, key })

export const repositorySchema = z
  .strictObject({
    name: z.string().regex(namePattern, nameRule).meta({ description: 'Name of the source: a-z, 0-9 and -.' }),
    apt: z
      .strictObject({
        url,
        key,
        suite: word.optional().meta({ description: 'Default: the code name of the host, such as bookworm.' }),
        components: z.array(word).min(1).optional().meta({ description: 'Default: [main].' }),
        architectures: z.array(word).min(1).optional().meta({ description: 'Default: those of the host.' }),
      })
      .optional()
      .meta({ description: 'For apt-get: a .sources file with its own key.' }),
    dnf: rpm.optional().meta({ description: 'For dnf: a .repo file.' }),
    zypper: rpm.optional().meta({ description: 'For zypper: a .repo file.' }),
    apk: z
      .strictObject({
        url,
        key: z.string().min(1).meta({ description: 'A file of the recipe folder; apk goes by its name.' }),
      })
      .optional()
      .meta({ description: 'For apk: a line and a key.' }),
  })
  .refine(
    ({ apt, dnf, zypper, apk }) => (apt ?? dnf ?? zypper ?? apk) !== undefined,
    'must have apt, dnf, zypper or apk',
  )

type Repository = z.infer<typeof repositorySchema>

const kinds = ['apt', 'dnf', 'zypper', 'apk'] as const

/** What `renderPackages` takes. */
interface RenderedRepositories {
  readonly script: string
  readonly files: readonly RenderedFile[]
}

/** Reports what the schema does not see. */
export async function checkRepositories(raw: unknown, context: RenderContext): Promise<void> {
  const parsed = z.array(repositorySchema).safeParse(raw)
  if (!parsed.success) return
  await renderRepositories(parsed.data, context)
  for (const [index, { name }] of parsed.data.entries()) {
    if (parsed.data.findIndex((other) => other.name === name) < index) {
      context.report(['repositories', index, 'name'], `is '${name}', as that of another one above`)
    }
  }
}

/** Undefined where a problem was reported. */
export async function renderRepositories(
  repositories: readonly Repository[],
  context: RenderContext,
): Promise<RenderedRepositories | undefined> {
  const found = new Map<(typeof kinds)[number], string>()
  const files: RenderedFile[] = []
  let complete = true
  for (const [index, repository] of repositories.entries()) {
    for (const kind of kinds) {
      const given = repository[kind]
      if (given === undefined) continue
      const at = ['repositories', index, kind] as const
      const address = await fillUrl([...at, 'url'], given.url, context)
      const signer = await readKey([...at, 'key'], given.key, kind === 'apk', context)
      if (address === undefined || signer === undefined) {
        complete = false
        continue
      }
      const source = { repository, address, binaryKey: !isArmored(signer), keyName: basename(given.key) }
      const add = (name: string, content: Buffer) => {
        const path = ownPath(`${repository.name}.${kind}.${name}`)
        files.push({ path, executable: false, content })
        return path
      }
      const previous = found.get(kind) ?? ''
      found.set(
        kind,
        previous + renderers[kind](source, (name, text) => add(name, Buffer.from(text)), add('key', signer)),
      )
    }
  }
  if (!complete) return undefined
  const cases = [...found].map(([kind, lines]) => `${kind === 'apt' ? 'apt-get' : kind})\n${lines}  ;;\n`)
  return { script: cases.length === 0 ? '' : `case $manager in\n${cases.join('')}esac\n`, files }
}

interface Source {
  readonly repository: Repository
  readonly address: string
  /** The key is no text. */
  readonly binaryKey: boolean
  readonly keyName: string
}

type Renderer = (source: Source, add: (name: string, text: string) => string, key: string) => string

const place = (from: string, to: string) => `  add_source ${shQuote(from)} ${shQuote(to)}\n`

/** The lines of the script for one source; `add` puts a file beside it and gives its path. */
const renderers: Readonly<Record<(typeof kinds)[number], Renderer>> = {
  apt: ({ repository: { name, apt }, address, binaryKey }, _add, key) => {
    const keyring = `/etc/apt/keyrings/parbake-${name}.${binaryKey ? 'gpg' : 'asc'}`
    const { suite, components = ['main'], architectures } = apt ?? {}
    const lines = [
      shQuote('Types: deb'),
      shQuote(`URIs: ${address}`),
      suite === undefined ? '"Suites: $VERSION_CODENAME"' : shQuote(`Suites: ${suite}`),
      // A suite that is a folder has no components.
      ...(suite?.endsWith('/') === true ? [] : [shQuote(`Components: ${components.join(' ')}`)]),
      ...(architectures === undefined ? [] : [shQuote(`Architectures: ${architectures.join(' ')}`)]),
      shQuote(`Signed-By: ${keyring}`),
    ]
    const made = ownPath(`${name}.sources`)
    const unknown = `  if [ -z "$VERSION_CODENAME" ]; then fail "this host has no code name: say the suite of ${name}"; fi\n`
    const print = `  printf '%s\\n' ${lines.join(' \\\n    ')} >${made}\n`
    const to = `/etc/apt/sources.list.d/parbake-${name}.sources`
    return `${suite === undefined ? unknown : ''}${place(key, keyring)}${print}${place(made, to)}`
  },
  dnf: ({ repository: { name }, address }, add, key) => {
    const keyFile = `/etc/pki/rpm-gpg/parbake-${name}`
    const repo = repoFile(name, address, `gpgkey=file://${keyFile}\n`)
    return `${place(key, keyFile)}${place(add('repo', repo), `/etc/yum.repos.d/parbake-${name}.repo`)}`
  },
  zypper: ({ repository: { name }, address }, add, key) => {
    const repo = repoFile(name, address, 'autorefresh=1\ntype=rpm-md\n')
    // Zypper asks before it takes a key from a file of its own.
    return `  rpm --import ${shQuote(key)}\n${place(add('repo', repo), `/etc/zypp/repos.d/parbake-${name}.repo`)}`
  },
  apk: ({ repository: { name }, address, keyName }, add, key) =>
    `${place(key, `/etc/apk/keys/${keyName}`)}${place(add('list', `${address}\n`), `/etc/apk/repositories.d/parbake-${name}.list`)}`,
}

function repoFile(name: string, address: string, more: string): string {
  return `[parbake-${name}]\nname=${name}\nbaseurl=${address}\nenabled=1\ngpgcheck=1\n${more}`
}

function isArmored(content: Buffer): boolean {
  return content.subarray(0, 4096).includes('-----BEGIN')
}

async function readKey(
  path: YamlPath,
  text: string,
  fileOnly: boolean,
  context: RenderContext,
): Promise<Buffer | undefined> {
  const inline = text.includes('-----BEGIN')
  if (inline && fileOnly) {
    context.report(path, 'must be a file of the recipe folder, for apk goes by the name of a key')
    return undefined
  }
  const content = inline ? Buffer.from(`${text.trim()}\n`) : (await readOneFile(path, text, context))?.content
  if (content === undefined || !content.includes('PRIVATE KEY')) return content
  context.report(path, 'is a private key, which no host may have', 'export the public one')
  return undefined
}
