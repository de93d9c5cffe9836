import { posix } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { messageOf } from '../../errors.ts'
import { shQuote } from '../../util/sh-quote.ts'
import type { Collector } from '../collector.ts'
import { fileStep } from '../file-step.ts'
import { slug } from '../slug.ts'
import { isVolatile, type PlacedFile } from '../volatile.ts'
import { itemsOf, mappingOf, textOf, type ConfigItem, type ConfigKey } from './read.ts'

const knownKeys = new Set(['path', 'content', 'encoding', 'owner', 'permissions', 'append', 'defer'])

/** An entry of write_files that can be carried over. */
export interface WriteFile {
  readonly item: ConfigItem
  readonly path: string
  readonly content: Buffer
  readonly owner: string
  /** Octal digits. */
  readonly mode: string
  readonly append: boolean
  readonly deferred: boolean
}

/** The entries of write_files, decoded as cloud-init does. What cannot be read is reported. */
export function readWriteFiles(key: ConfigKey, to: Collector): readonly WriteFile[] {
  return itemsOf(key).flatMap((item) => {
    const found = readEntry(item)
    if (!('why' in found)) return [found]
    to.notCarried(item.at, found.what, found.why, found.hint)
    return []
  })
}

interface Refusal {
  readonly what: string
  readonly why: string
  readonly hint?: string
}

function readEntry(item: ConfigItem): WriteFile | Refusal {
  const entry = mappingOf(item.value)
  const path = textOf(entry?.['path'])
  if (entry === undefined || path === undefined) {
    return { what: 'entry of write_files', why: 'it has no path: cloud-init leaves it out too' }
  }
  const what = `write_files ${path}`
  if (!path.startsWith('/') || /\/$|[\n\0]/.test(path)) return { what, why: 'its path is not that of a file' }
  const unknown = Object.keys(entry).find((name) => !knownKeys.has(name))
  if (unknown !== undefined) {
    return { what, why: `it has the key '${unknown}'`, hint: 'write a script that makes this file' }
  }
  try {
    return {
      item,
      path: posix.normalize(path),
      content: decode(entry['content'], textOf(entry['encoding'])),
      owner: textOf(entry['owner']) ?? 'root:root',
      mode: readMode(entry['permissions']),
      append: isTrue(entry['append']),
      deferred: isTrue(entry['defer']),
    }
  } catch (error) {
    return { what, why: `its content cannot be decoded: ${messageOf(error)}` }
  }
}

/** The words that cloud-init takes for yes. */
export function isTrue(value: unknown): boolean {
  return value === true || ['true', '1', 'on', 'yes'].includes((textOf(value) ?? '').toLowerCase().trim())
}

/** A number is one already: YAML 1.1 has read `0644` as octal. */
function readMode(value: unknown): string {
  if (value === null || value === undefined) return '0644'
  const mode = typeof value === 'number' ? value : Number.parseInt((textOf(value) ?? '').replace(/^\s*0o/i, ''), 8)
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o7777) return '0644'
  return mode.toString(8).padStart(4, '0')
}

function decode(content: unknown, encoding = 'text/plain'): Buffer {
  const raw = content instanceof Uint8Array ? Buffer.from(content) : Buffer.from(textOf(content) ?? '')
  const name = encoding.toLowerCase().trim()
  if (['b64', 'base64'].includes(name)) return fromBase64(raw)
  if (['gz', 'gzip'].includes(name)) return gunzipSync(raw)
  if (['gz+b64', 'gz+base64', 'gzip+b64', 'gzip+base64'].includes(name)) return gunzipSync(fromBase64(raw))
  return raw
}

function fromBase64(raw: Buffer): Buffer {
  const text = raw.toString('latin1').replaceAll(/\s/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new Error('it is no base64')
  return Buffer.from(text, 'base64')
}

/**
 * Adds the steps of these entries, in their order, and says which of them are put in place by the scripts that name them
 * instead: files in folders that do not outlast a boot.
 */
export function addWriteFiles(
  files: readonly WriteFile[],
  scripts: string,
  to: Collector,
  note?: (file: WriteFile) => string | undefined,
): readonly PlacedFile[] {
  const placed: PlacedFile[] = []
  for (const file of files) {
    const { item, path, content, owner, mode } = file
    const what = `write_files ${path}`
    const why = note?.(file)
    const name = `file-${slug(posix.basename(path)) || 'root'}`
    if (file.append) {
      to.carried(item.at, what, [appendStep(name, file, to)], why)
    } else if (isVolatile(path) && scripts.includes(path)) {
      placed.push({ source: to.file(`files${path}`, content), destination: path, owner, mode })
      to.carried(item.at, what, [], 'does not outlast a boot: each script that names it puts it there first')
    } else {
      const brief = isVolatile(path)
      const draft = { name, plain: true, ...(brief ? { when: 'instance' as const, apart: 'all' as const } : {}) }
      const step = fileStep(to, draft, { destination: path, content, owner, mode })
      to.carried(item.at, what, [step], brief ? 'does not outlast a boot: once per instance' : why)
    }
  }
  return placed
}

/** Appended to once: what is at the end already is not written again, for a changed recipe may run the step anew. */
function appendStep(name: string, { path, content, owner, mode }: WriteFile, to: Collector): string {
  const source = to.file(`files${path}`, content)
  const target = shQuote(path)
  const text = `#!/bin/sh
set -eu
addition=${shQuote(source)}
mkdir -p ${shQuote(posix.dirname(path))}
touch ${target}
if ! tail -c "$(wc -c <"$addition")" ${target} | cmp -s - "$addition"; then
  cat "$addition" >>${target}
fi
chown ${shQuote(owner)} ${target}
chmod ${mode} ${target}
`
  return to.script({ name: `${name}-more`, plain: true, description: `Appends to ${path}` }, text, { inputs: [source] })
}
