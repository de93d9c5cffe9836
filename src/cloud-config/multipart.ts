import { sha256 } from '../util/sha256.ts'
import { invalid } from './invalid.ts'

const contentTypes = {
  'cloud-config': 'text/cloud-config',
  script: 'text/x-shellscript',
  'script-per-boot': 'text/x-shellscript-per-boot',
  'script-per-instance': 'text/x-shellscript-per-instance',
  'script-per-once': 'text/x-shellscript-per-once',
  boothook: 'text/cloud-boothook',
  'part-handler': 'text/part-handler',
  include: 'text/x-include-url',
  'include-once': 'text/x-include-once-url',
} as const

/**
 * What cloud-init does with a part. `script`: run once per instance, in the final stage. `script-per-boot`,
 * `script-per-instance`, `script-per-once`: left in /var/lib/cloud/scripts and run there in the final stage, that often.
 * `boothook`: run at every boot, at the start of the network stage. `part-handler`: Python that handles other parts.
 * `include`, `include-once`: URLs of more user-data.
 */
export type PartKind = keyof typeof contentTypes

export interface UserDataPartSpec {
  readonly kind: PartKind
  /** The text, or a builder for its document. `## template: jinja` as first line makes cloud-init render it first. */
  readonly content: string | { render(): string }
  /** File name on the host; scripts run in the order of their names. cloud-init takes `part-001` and so on where absent. */
  readonly name?: string
  /** How cloud-init is to merge this cloud-config part into those before it: `Merge-Type`, e.g. `appendingMergeType`. */
  readonly mergeType?: string
}

/** A `mergeType` with which a part adds to lists and maps of the earlier ones, and changes no value that is there. */
export const appendingMergeType = 'list(append)+dict(no_replace,recurse_list)+str()'

/**
 * User-data of several parts as a MIME message, the same bytes for equal parts. Throws a UserError (exit code 2) for parts
 * that cloud-init would not run, and for a cloud-config part after another without `mergeType`: it would replace whole lists.
 */
export function multipart(parts: readonly UserDataPartSpec[]): string {
  if (parts.length === 0) throw invalid('a multi-part document needs parts')
  checkMerging(parts)
  const names = parts.flatMap(({ name }) => name ?? [])
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw invalid(`two parts are named '${twice}'`, 'the later file would replace the earlier')
  const bodies = parts.map(renderPart)
  // A digest of all that is between the boundaries cannot stand in it.
  const boundary = `===============${sha256(bodies.join('\n')).slice(0, 32)}==`
  return [
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    'MIME-Version: 1.0',
    '',
    ...bodies.flatMap((body) => [`--${boundary}`, body]),
    `--${boundary}--`,
    '',
  ].join('\n')
}

/** URLs of user-data that cloud-init fetches at every boot, without credentials; where one fails, nothing after it is read. */
export function include(...urls: readonly string[]): string {
  return `#include\n${urlLines(urls)}`
}

/** As `include`, but fetched once per instance, so that URLs may expire afterwards. */
export function includeOnce(...urls: readonly string[]): string {
  return `#include-once\n${urlLines(urls)}`
}

function urlLines(urls: readonly string[]): string {
  const wrong = urls.find((url) => !URL.canParse(url) || !/^(https?|ftps?|file):\/\/[!-~]+$/.test(url))
  if (wrong !== undefined) throw invalid(`'${wrong}' is no URL that cloud-init fetches`, 'use http, https, ftp or file')
  if (urls.length === 0) throw invalid('an include needs a URL')
  return urls.map((url) => `${url}\n`).join('')
}

function checkMerging(parts: readonly UserDataPartSpec[]): void {
  const [, ...later] = parts.filter(({ kind }) => kind === 'cloud-config')
  if (later.every(({ mergeType }) => mergeType !== undefined)) return
  throw invalid(
    'a cloud-config part would replace whole lists of an earlier one',
    'make one part of them with merge(), or give the later ones a mergeType, e.g. appendingMergeType',
  )
}

function renderPart({ kind, content, name, mergeType }: UserDataPartSpec): string {
  const text = typeof content === 'string' ? content : content.render()
  const called = name === undefined ? `a part of kind ${kind}` : `the part '${name}'`
  if (!Object.hasOwn(contentTypes, kind)) {
    throw invalid(`${called} is unknown`, `kinds are ${Object.keys(contentTypes).join(', ')}`)
  }
  const [, template, body = ''] = /^(## template: *jinja *\r?\n)?([^]*)$/i.exec(text) ?? []
  checkBody(kind, body, called)
  if (template !== undefined) checkTemplate(kind, body, called)
  if (name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw invalid(`'${name}' is no name for a part`, 'use letters, digits, ., _ and -')
  }
  if (mergeType !== undefined && !/^[a-z_+(),]+$/.test(mergeType)) {
    throw invalid(`'${mergeType}' is no merge type`, `an example: ${appendingMergeType}`)
  }
  const encoded = transferEncoded(text)
  return [
    // For a template cloud-init looks at what it renders to; any other type would hide that it is one.
    `Content-Type: ${template === undefined ? contentTypes[kind] : 'text/jinja2'}; charset="utf-8"`,
    'MIME-Version: 1.0',
    `Content-Transfer-Encoding: ${encoded.encoding}`,
    ...(name === undefined ? [] : [`Content-Disposition: attachment; filename="${name}"`]),
    ...(mergeType === undefined ? [] : [`Merge-Type: ${mergeType}`]),
    '',
    encoded.body,
  ].join('\n')
}

function checkBody(kind: PartKind, body: string, called: string): void {
  switch (kind) {
    case 'cloud-config':
      if (!body.startsWith('#cloud-config\n')) throw invalid(`${called} does not begin with #cloud-config`)
      return
    case 'script':
    case 'script-per-boot':
    case 'script-per-instance':
    case 'script-per-once':
      if (!body.startsWith('#!')) throw invalid(`${called} does not begin with #!`, `e.g. with #!/bin/sh`)
      return
    case 'boothook':
      if (!/^(#cloud-boothook\n)?#!/.test(body)) {
        throw invalid(`${called} does not begin with #!`, 'after #cloud-boothook, where that is there')
      }
      return
    case 'part-handler':
    case 'include':
    case 'include-once':
      if (body.trim() === '') throw invalid(`${called} is empty`)
      return
  }
}

/** What a template renders to is told by its first line alone. */
function checkTemplate(kind: PartKind, body: string, called: string): void {
  if (kind !== 'cloud-config' && kind !== 'script' && kind !== 'boothook') {
    throw invalid(`${called} cannot be a template`, 'templates are cloud-config, script or boothook')
  }
  if (kind === 'boothook' && !body.startsWith('#cloud-boothook\n')) {
    throw invalid(`${called} would be taken for a script`, 'begin it with #cloud-boothook after the template line')
  }
}

/** As it is where cloud-init's reader gives it back unchanged, else base64. */
function transferEncoded(text: string): { readonly encoding: '7bit' | 'base64'; readonly body: string } {
  const plain = /^[\t\n\x20-\x7e]*$/.test(text) && !/^(.{900,}|From .*|\.)$/m.test(text)
  if (plain) return { encoding: '7bit', body: text }
  const base64 = Buffer.from(text, 'utf8').toString('base64')
  return { encoding: 'base64', body: `${base64.replaceAll(/.{76}/g, '$&\n').trimEnd()}` }
}
