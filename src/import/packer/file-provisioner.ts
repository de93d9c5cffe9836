import { posix } from 'node:path'
import { fileStep } from '../file-step.ts'
import { slug } from '../slug.ts'
import { isVolatile } from '../volatile.ts'
import type { PackerContext } from './import.ts'
import { readInput, type InputFile } from './read-input.ts'
import { listOf, literalOf, type PackerProvisioner } from './template.ts'

const handled = new Set(['source', 'sources', 'content', 'destination', 'direction'])

/** Adds the files that a `file` provisioner uploads. */
export async function addFileProvisioner(provisioner: PackerProvisioner, context: PackerContext): Promise<void> {
  const { at, fields } = provisioner
  const { to, variables } = context
  const value = (name: string) => fields.find((field) => field.name === name)?.value
  const destination = variables.literal(value('destination'))
  const what = `provisioner file ${destination ?? ''}`.trim()
  for (const field of fields.filter(({ name }) => !handled.has(name))) {
    to.notCarried(field.at, `file: ${field.name}`, 'it is about how Packer builds')
  }
  if (literalOf(value('direction')) === 'download') {
    to.notCarried(at, what, 'it fetches a file from the machine that is built')
    return
  }
  if (destination?.startsWith('/') !== true) {
    to.notCarried(
      at,
      what,
      destination === undefined ? 'its destination is known to Packer only' : 'its destination is not absolute',
    )
    return
  }
  const steps: string[] = []
  let placed = 0
  const content = value('content')
  if (content !== undefined) {
    const text = variables.literal(content)
    const template = variables.template(content, { lines: true })
    if (template?.includes('{{') === true && !isVolatile(destination)) {
      steps.push(templateStep(destination, template, context))
    } else if (text === undefined) to.notCarried(at, what, 'its content is known to Packer only')
    else placed += upload([{ path: '', content: Buffer.from(text), mode: 0o644 }], destination, context, steps)
  }
  for (const each of [...listOf(value('source')), ...listOf(value('sources'))]) {
    const source = variables.literal(each)
    const files = source === undefined ? undefined : await readInput(context.folder, source)
    if (source === undefined || files === undefined) {
      to.notCarried(
        at,
        what,
        `its source ${source === undefined ? 'is known to Packer only' : `${source} is not there`}`,
      )
      continue
    }
    placed += upload(files, targetOf(source, files, destination), context, steps)
  }
  if (steps.length + placed === 0) return
  to.carried(
    at,
    what,
    steps,
    placed > 0 ? 'does not outlast a boot: each script that names it puts it there first' : undefined,
  )
}

function templateStep(destination: string, content: string, { to }: PackerContext): string {
  return to.step({
    ...{ name: `file-${slug(posix.basename(destination))}`, description: `Writes ${destination}` },
    keys: { type: 'template', content, destination, mode: '0644' },
  })
}

/** A folder's name is part of the target unless it ends with `/`; a file's is where the target ends with `/`. */
function targetOf(source: string, files: readonly InputFile[], destination: string): string {
  const base = posix.basename(source)
  const isFile = files.length === 1 && files[0]?.path === base
  if (isFile) return destination.endsWith('/') ? posix.join(destination, base) : destination
  return source.endsWith('/') ? posix.join(destination, '/') : posix.join(destination, base, '/')
}

/** Adds a step for each file; hands back how many are left to the scripts that name them. */
function upload(files: readonly InputFile[], target: string, context: PackerContext, steps: string[]): number {
  const { to, placed, scriptText } = context
  let count = 0
  for (const { path, content, mode } of files) {
    const destination = target.endsWith('/') ? posix.join(target, path) : target
    const file = { destination, content, owner: 'root:root', mode: `0${mode.toString(8).padStart(3, '0')}` }
    const named = [destination, target.replace(/\/$/, '')].find((name) => scriptText.includes(name))
    if (isVolatile(destination) && named !== undefined) {
      placed.push({ ...file, source: to.file(`files${destination}`, content), named })
      count += 1
    } else {
      steps.push(fileStep(to, { name: `file-${slug(posix.basename(destination))}` }, file))
    }
  }
  return count
}
