import { posix } from 'node:path'
import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { hostPath, modeField, ownerEffects, ownerField } from './fields.ts'
import { fourDigits, installFile, ownPath, prologue } from './shell.ts'
import { defineStepType, type RenderContext } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('directory').meta({ description: 'Makes a folder, or removes it.' }),
    ...commonShape,
    path: hostPath('a folder').meta({ description: 'Absolute path of the folder on the host.' }),
    source: z.string().min(1).optional().meta({
      description: 'A folder of the recipe folder, copied with all that is in it. Other files there stay.',
    }),
    owner: ownerField.meta({
      description: 'Owner of the folder and of what source brings: user or user:group. Default root:root.',
    }),
    mode: modeField.meta({
      description: 'Permissions of folders, as a quoted octal string; files get them without x. Default "0755".',
    }),
    absent: z.boolean().optional().meta({ description: 'true: remove the folder and all that is in it.' }),
  })
  .meta({ description: 'Makes a folder with owner and mode, from a folder of the recipe if wanted; or removes it.' })

/** Makes a folder. */
export const directory = defineStepType({
  name: 'directory',
  summary: 'a folder with owner and mode, its content from the recipe (source), or none (absent)',
  schema,
  check: async (raw, context) => {
    const { absent, path, source } = raw
    if (typeof source === 'string') await readTree(source, context)
    if (absent !== true) return
    for (const key of ['source', 'owner', 'mode']) {
      if (raw[key] !== undefined) context.report([key], 'means nothing for a folder that is removed', `remove '${key}'`)
    }
    if (typeof path === 'string' && posix.dirname(path) === '/') {
      context.report(['path'], `is '${path}', which no host does without: only folders below another one are removed`)
    }
  },
  render: async (spec, context) => {
    if (spec.absent === true) return { script: renderRemove(spec.path), files: [] }
    const files = spec.source === undefined ? [] : await readTree(spec.source, context)
    return files && { script: renderMake(spec, files.length > 0), files }
  },
  effects: ({ absent, path, owner }) => (absent === true ? {} : { writes: [path], ...ownerEffects(owner) }),
})

const treePath = ownPath('tree')

/** The files of a folder of the recipe, as they lie in the step's folder. */
async function readTree(source: string, context: RenderContext) {
  const files = await context.readFiles(['source'], source)
  if (files === undefined) return undefined
  const top = `${posix.normalize(source).replace(/\/$/, '')}/`
  if (files.every((file) => file.path.startsWith(top))) {
    return files.map((file) => ({ ...file, path: posix.join(treePath, file.path.slice(top.length)) }))
  }
  context.report(['source'], `names a file, '${source}', where a folder is wanted`, 'type: file writes single files')
  return undefined
}

function renderMake({ path, owner = 'root:root', mode = '0755' }: z.infer<typeof schema>, hasTree: boolean): string {
  const digits = fourDigits(mode)
  const plain = (Number.parseInt(digits, 8) & 0o666).toString(8).padStart(4, '0')
  const executable = (Number.parseInt(digits, 8) & 0o777).toString(8).padStart(4, '0')
  const make = `${prologue}path=${shQuote(path)}
make_folder() { # PATH [own: do not follow a link]
  if [ -e "$1" ] && [ ! -d "$1" ]; then fail "cannot make the folder $1: a file has this name"; fi
  umask 022
  mkdir -p "$1" || fail "cannot make the folder $1"
  chown \${2:+-h} ${owner} "$1" ||
    fail "cannot give $1 to ${owner}: is there no such user or group? Make it in a step that this one needs"
  chmod ${digits} "$1"
}
make_folder "$path"
`
  if (!hasTree) return make
  return `${make}${installFile}(cd ${treePath} && find . -type d ! -name .) | while IFS= read -r name; do
  # Who owns the folder must not lead root elsewhere.
  if [ -L "$path/\${name#./}" ]; then fail "cannot make the folder $path/\${name#./}: a link has this name"; fi
  make_folder "$path/\${name#./}" own
done
(cd ${treePath} && find . -type f) | while IFS= read -r name; do
  mode=${plain}
  if [ -x "${treePath}/$name" ]; then mode=${executable}; fi
  install_file "${treePath}/$name" "$path/\${name#./}" ${owner} "$mode"
done
`
}

function renderRemove(path: string): string {
  return `${prologue}path=${shQuote(path)}
if [ -e "$path" ] && [ ! -d "$path" ]; then fail "will not remove $path: it is no folder"; fi
rm -rf "$path"
`
}
