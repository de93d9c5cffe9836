import { exitCodes, UserError } from '../errors.ts'
import { looksLikeMime, typeByStart } from './mime.ts'
import { lineOf, type ImportFormat, type SourceText } from './model.ts'

/** Told from the content, and from the name where the content leaves it open. Throws UserError (exit code 2) otherwise. */
export function detectFormat(source: SourceText): ImportFormat {
  const { text, file } = source
  const type = typeByStart(text)
  if (type === 'text/x-shellscript') return 'shell'
  if (type === 'text/cloud-config') return 'cloud-config'
  if (type === 'text/cloud-config-archive' || type === 'text/cloud-boothook') return 'mime'
  if (looksLikeMime(text)) return 'mime'
  if (file.endsWith('.pkr.hcl') || /^\s*(?:packer|source|build|variable|locals)\b[^\n]*\{/m.test(text)) return 'packer'
  if (/^\s*\{/.test(text) && /"(?:provisioners|builders)"\s*:/.test(text)) return 'packer'
  if (/\.(?:sh|bash)$/.test(file)) return 'shell'
  throw new UserError('cannot tell what this is', {
    location: lineOf(source, 1),
    hint: `say so with --format, or begin it with '#cloud-config' or '#!'`,
    exitCode: exitCodes.usage,
    code: 'import-invalid',
  })
}
