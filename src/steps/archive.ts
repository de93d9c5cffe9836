import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { callDownload, download, downloadPath } from './download.ts'
import { fillUrl, hostPath, ownerEffects, ownerField, readOneFile, sha256Field } from './fields.ts'
import { contentPath, prologue } from './shell.ts'
import { checkOneOf, defineStepType, type RenderContext } from './types.ts'

/** Forms of archives, by the ends of their names. */
const formats = {
  'tar.gz': ['.tar.gz', '.tgz'],
  'tar.xz': ['.tar.xz', '.txz'],
  'tar.zst': ['.tar.zst', '.tzst'],
  'tar.bz2': ['.tar.bz2', '.tbz2'],
  tar: ['.tar'],
  zip: ['.zip'],
} as const

type Format = keyof typeof formats

const formatNames = Object.keys(formats) as [Format, ...Format[]]

const schema = z
  .strictObject({
    type: z.literal('archive').meta({ description: 'Unpacks an archive.' }),
    ...commonShape,
    source: z.string().min(1).optional().meta({ description: 'The archive: a file of the recipe folder.' }),
    url: z.string().min(1).optional().meta({
      description: 'Where the archive is, instead of source: http:// or https://. May use {{param}}.',
    }),
    sha256: sha256Field.optional().meta({ description: 'What the archive at url must be.' }),
    format: z.enum(formatNames).optional().meta({ description: 'Default: what the end of its name says.' }),
    destination: hostPath('a folder').meta({
      description: 'Absolute path of the folder that it is unpacked into. Other files there stay.',
    }),
    strip: z.number().int().min(0).max(20).optional().meta({
      description: 'Number of folders to leave out at the beginning of each name. Default 0.',
    }),
    owner: ownerField.meta({
      description: 'Owner of all that is unpacked: user or user:group. Default root:root, whatever the archive says.',
    }),
  })
  .meta({ description: 'Unpacks an archive, of the recipe or from the web, and nothing outside of its folder.' })

type ArchiveSpec = z.infer<typeof schema>

/** Unpacks one archive. */
export const archive = defineStepType({
  name: 'archive',
  summary: 'an archive (source, or url and sha256), unpacked into a folder (destination, strip, owner)',
  schema,
  check: async (raw, context) => {
    const { source, url, sha256, format } = raw
    checkOneOf(raw, ['source', 'url'], context.report)
    if (url !== undefined && sha256 === undefined) context.report(['sha256'], 'is missing: what is fetched is verified')
    if (url === undefined && sha256 !== undefined) context.report(['sha256'], "means nothing without 'url'")
    if (typeof source === 'string') await readOneFile(['source'], source, context)
    const filled = typeof url === 'string' ? await fillUrl(['url'], url, context) : undefined
    const [name, key] = typeof source === 'string' ? [source, 'source'] : [filled, 'url']
    if (name !== undefined && format === undefined && formatOf(name) === undefined) {
      const ends = Object.values(formats).flat().join(', ')
      context.report([key], `names no archive by its end (${ends})`, "say its 'format'")
    }
  },
  render: async (spec, context) => {
    const archived = await locate(spec, context)
    const format = archived && (spec.format ?? formatOf(archived.name))
    if (archived === undefined || format === undefined) return undefined
    return {
      script: `${prologue}${archived.script}${renderUnpack(spec, archived.path, format)}`,
      files: archived.files,
    }
  },
  effects: (spec) => ({ writes: [spec.destination], ...ownerEffects(spec.owner) }),
})

function formatOf(name: string): Format | undefined {
  const path = name.replace(/[?#].*/, '').toLowerCase()
  return formatNames.find((format) => formats[format].some((end) => path.endsWith(end)))
}

async function locate({ source, url, sha256 }: ArchiveSpec, context: RenderContext) {
  if (source !== undefined) {
    const file = await readOneFile(['source'], source, context)
    const files = file && [{ path: contentPath, executable: false, content: file.content }]
    return files && { name: source, path: contentPath, script: '', files }
  }
  const filled = url === undefined ? undefined : await fillUrl(['url'], url, context)
  if (filled === undefined || sha256 === undefined) return undefined
  return { name: filled, path: downloadPath, script: `${download}${callDownload(filled, sha256)}`, files: [] }
}

const decompressors = {
  'tar.gz': { tool: 'gzip', module: 'gzip' },
  'tar.xz': { tool: 'xz', module: 'lzma' },
  'tar.bz2': { tool: 'bzip2', module: 'bz2' },
  'tar.zst': { tool: 'zstd', module: undefined },
} as const

/**
 * All is unpacked beside its place, looked at, and only then moved: an archive that leads out of its folder, by names or
 * links, or that holds devices, leaves nothing. Rights to be someone else, and everybody's rights to write, are taken away.
 */
function renderUnpack(
  { destination, strip = 0, owner = 'root:root' }: ArchiveSpec,
  path: string,
  format: Format,
): string {
  return `archive=$PWD/${path} destination=${shQuote(destination)}
umask 022
mkdir -p "\${destination%/*}/" || fail "cannot make the folder of $destination"
rm -rf "$destination".parbake.??????
staging=$(mktemp -d "$destination.parbake.XXXXXX") || fail "cannot write beside $destination"
trap 'rm -rf "$staging"' EXIT
trap 'exit 1' HUP INT TERM
refuse() {
  fail "the archive for $destination $*: refused"
}
# All that follows stays in there, whatever becomes of its name.
cd "$staging"
${format === 'zip' ? unpackZip : unpackTar(format)}top=$(pwd -P)
if [ -n "$(find . ! -type f ! -type d ! -type l)" ]; then refuse 'holds devices, pipes or sockets'; fi
find . -type l | while IFS= read -r link; do
  case $(readlink "$link") in /*) refuse 'holds a link that leads out of its folder' ;; esac
  case $(readlink -f "$link") in "$top" | "$top"/*) ;; *) refuse 'holds a link that leads out of its folder' ;; esac
done
find . -type f -exec stat -c '%h %d:%i' {} + | grep -v '^1 ' | sort | uniq -c | while read -r here all _; do
  if [ "$here" != "$all" ]; then refuse 'holds a file that is also outside of its folder'; fi
done
chmod -R ug-s,go-w .
chown -hR ${owner} . ||
  fail "cannot give $destination to ${owner}: is there no such user or group? Make it in a step that this one needs"
if [ ! -d "$destination" ]; then
  mkdir "$destination" || fail "cannot make the folder $destination"
  chown -h ${owner} "$destination"
fi
# What is there already is replaced file by file, through a second tar, which follows no links.
place() { # FOLDER
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    name=\${entry##*/}
    if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
    if [ -e "$destination/$name" ] || [ -L "$destination/$name" ]; then
      (cd "$1" && tar -cf - "./$name") | (cd "$destination" && tar -xpf -) || fail "cannot write $destination/$name"
    else
      mv "$entry" "$destination/$name"
    fi
  done
}
${strip === 0 ? 'place .\n' : renderStrip(strip)}${path === downloadPath ? 'rm -f "$archive"\n' : ''}`
}

function renderStrip(strip: number): string {
  return `roots=$(find . -mindepth ${strip} -maxdepth ${strip} -type d)
if [ -z "$roots" ]; then fail "the archive for $destination has nothing that strip: ${strip} leaves"; fi
printf '%s\\n' "$roots" | while IFS= read -r root; do place "$root"; done
`
}

function unpackTar(format: Exclude<Format, 'zip'>): string {
  const read =
    format === 'tar'
      ? 'read_archive() { cat "$archive"; }\n'
      : `read_archive() {
  if have ${decompressors[format].tool}; then
    ${decompressors[format].tool} -dc <"$archive"
${
  decompressors[format].module === undefined
    ? ''
    : `  elif have python3; then
    python3 -c '
import ${decompressors[format].module}, shutil, sys
with ${decompressors[format].module}.open(sys.argv[1]) as file: shutil.copyfileobj(file, sys.stdout.buffer)' "$archive"
`
}  else
    fail '${decompressors[format].tool} is needed to unpack this archive: install it in a step that this one needs'
  fi
}
`
  return `${read}names=$(read_archive | tar -tf - 2>&1) || fail "cannot read the archive for $destination"
# Some tools show what they make of a name, and say so.
if printf '%s\\n' "$names" | grep -q '^/\\|^\\.\\.$\\|^\\.\\./\\|/\\.\\./\\|/\\.\\.$\\|^tar: removing'; then
  refuse 'has names that lead out of its folder'
fi
read_archive | tar -xof - || fail "cannot unpack the archive for $destination: is the disk full?"
`
}

/** Neither of them writes outside of the folder. */
const unpackZip = `if have unzip; then
  unzip -q "$archive" || fail "cannot unpack the archive for $destination: is the disk full?"
elif have python3; then
  python3 -c '
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        path = archive.extract(entry)
        mode = entry.external_attr >> 16 & 0o777
        if mode: os.chmod(path, mode)
' "$archive" || fail "cannot unpack the archive for $destination: is the disk full?"
else
  fail 'unzip or python3 is needed to unpack this archive: install it in a step that this one needs'
fi
`
