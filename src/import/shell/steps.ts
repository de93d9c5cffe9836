import type { SourceLocation } from '../../errors.ts'
import type { Collector } from '../collector.ts'
import type { StepDraft } from '../model.ts'
import { placeFiles, type PlacedFile } from '../volatile.ts'
import { splitScript, type ScriptPart } from './split.ts'
import { traitsOf } from './traits.ts'

/** A script that is to become steps. */
export interface ShellScript {
  /** Of its only step; parts are named after their comments. */
  readonly name: string
  readonly description?: string
  /** What it is in the input, for the listing. */
  readonly what: string
  /** With its `#!` line. */
  readonly text: string
  /** Where a line of `text` (from 1) stands in the input. */
  readonly locate: (line: number) => SourceLocation
  /** Files that must be in their places where a part names them. */
  readonly placed: readonly PlacedFile[]
  /** Texts that say which packages are installed and which services are enabled. */
  readonly installed: string
  readonly when?: StepDraft['when']
  /** Where it runs: a word of shell; empty for the home folder. Default `/`, where cloud-init runs scripts. */
  readonly folder?: string
  /** It was for building an image: it stays one step that is like any other. */
  readonly whole?: true
  /** Keys of the step beside the script. */
  readonly keys?: Readonly<Record<string, unknown>>
  /** Said in the listing. */
  readonly note?: string
}

const shell = /^#!\s*(?:\/usr)?\/bin\/(?:env\s+)?(?:ba|da|a)?sh(?:\s+-\S+)?\s*$/

const stopsAtErrors = /^#!.*\s-[a-z]*e|^\s*set\s.*(?:-\w*e|errexit)/m
const goesOn = '# parbake: allow no-errexit as in the original, what comes after a failed command runs all the same'

/** Adds the steps of a script, taken apart where that changes nothing, and tells what became of it. */
export function addShellScript(script: ShellScript, to: Collector): void {
  const [firstLine = '', ...rest] = script.text.split('\n')
  if (!shell.test(firstLine)) {
    addForeign(script, to)
    return
  }
  // The #! line stays as an empty one, so that lines count as in the input.
  const body = ['', ...rest].join('\n')
  const cd = cdLine(script)
  const split = script.when === undefined && script.whole === undefined ? splitScript(body) : undefined
  if (split === undefined) {
    const text = `${firstLine}\n${cd}${rest.join('\n').replace(/^\n+/, '')}`
    addPart(script, { name: script.name, body: text, traced: body, firstLine: 1 }, script.locate(1), to)
    return
  }
  for (const [index, part] of split.parts.entries()) {
    const isLast = index === split.parts.length - 1
    const text = partText(`${firstLine}\n${cd}`, part, isLast)
    const name = nameOf(part, script.name)
    const blank = /^\s*\n/.exec(part.body)?.[0].split('\n').length ?? 1
    const at = script.locate(part.firstLine + blank - 1)
    const { body: traced, carried, firstLine: first, heading } = part
    addPart(script, { name, body: text, traced, carried, firstLine: first, heading }, at, to)
  }
  if (split.redirection !== undefined) {
    to.notCarried(
      script.locate(split.redirection.firstLine),
      'output of the whole script to a place of its own',
      'the script is several steps now, and the agent keeps the output of each',
      'see /var/lib/parbake/log on a host',
    )
  }
}

interface Part {
  readonly name: string
  /** The text of the step. */
  readonly body: string
  /** What of it stands in the input from `firstLine` on. */
  readonly traced: string
  readonly firstLine: number
  /** Declarations from before it. */
  readonly carried?: readonly string[]
  readonly heading?: readonly string[]
}

function addPart(script: ShellScript, part: Part, at: SourceLocation, to: Collector): void {
  const traits = script.whole === true ? [] : traitsOf(part.traced, script.installed)
  const [carried] = traitsOf((part.carried ?? []).join('\n'), script.installed).filter(({ kind }) => kind === 'host')
  const own = traits.find(({ kind }) => kind === 'host')
  const ofHost = own ?? carried
  const ofBoot = traits.find(({ kind }) => kind === 'boot')
  const when = script.when ?? (ofHost === undefined ? undefined : 'instance')
  const placed = script.placed.filter(({ destination, named = destination }) => part.traced.includes(named))
  const [shebang = '', ...lines] = part.body.split('\n')
  const text = [
    shebang,
    ...(stopsAtErrors.test(part.body) ? [] : [goesOn]),
    ...(placed.length === 0 ? [] : ['inputs=$PWD', placeFiles(placed, '"$inputs"').trimEnd()]),
    ...lines,
  ].join('\n')
  const decisive = ofHost ?? ofBoot
  const line = decisive === undefined ? undefined : script.locate(part.firstLine + decisive.line - 1).line
  const place = decisive === carried ? 'a variable in it' : `line ${line ?? '?'}`
  const decided = decisive === undefined ? undefined : `${place} ${decisive.why}`
  const never = when === undefined && ofBoot !== undefined
  const step = to.script(
    {
      name: part.name,
      ...describe(script, part),
      ...(decided === undefined || script.when !== undefined
        ? {}
        : { comments: [`${ofHost === undefined ? 'Not baked' : 'Once per instance'}: ${decided}.`] }),
      ...(when === undefined ? {} : { when }),
      ...(never ? { bake: 'never' as const } : {}),
      ...(when === 'boot' ? { apart: 'plain' as const } : {}),
    },
    text,
    { ...script.keys, ...(placed.length === 0 ? {} : { inputs: placed.map(({ source }) => source) }) },
  )
  const effect =
    decided === undefined || script.when !== undefined
      ? undefined
      : `${decided}: ${never ? 'not baked' : 'once per instance'}`
  const note = [script.note, effect].filter((piece) => piece !== undefined).join('; ')
  to.carried(at, script.what, [step], note === '' ? undefined : note)
}

function cdLine({ folder = '/' }: ShellScript): string {
  return folder === '' ? 'cd || exit 1\n' : `cd ${folder}\n`
}

function describe(script: ShellScript, { heading = [] }: Part): { readonly description?: string } {
  const text = heading.length === 0 ? script.description : heading.join(' ')
  return text === undefined ? {} : { description: text }
}

function partText(head: string, part: ScriptPart, isLast: boolean): string {
  const carried = part.carried.length === 0 ? '' : `${part.carried.join('\n')}\n\n`
  const end = isLast ? '' : '\n# Whatever its last command ends with, the whole script goes on.\ntrue\n'
  return `${head}${carried}${part.body.replace(/^\n+/, '')}${end}`
}

function nameOf({ heading }: ScriptPart, fallback: string): string {
  const title = heading[0]?.replace(/^(?:step|part|section)?\s*\d+[.):]?\s+/i, '') ?? ''
  return /[A-Za-z0-9]/.test(title) ? title : fallback
}

/** A program for another interpreter stays whole: a file that a shell starts in the folder where cloud-init would. */
function addForeign(script: ShellScript, to: Collector): void {
  const path = to.file(`scripts/${script.name}`, Buffer.from(script.text), true)
  const run = `#!/bin/sh\nprogram=$PWD/${path}\n${cdLine(script)}exec "$program"\n`
  const traits = script.whole === true ? [] : traitsOf(script.text, script.installed)
  const ofHost = traits.find(({ kind }) => kind === 'host')
  const when = script.when ?? (ofHost === undefined ? undefined : 'instance')
  const draft = {
    name: script.name,
    ...(script.description === undefined ? {} : { description: script.description }),
    ...(when === undefined ? {} : { when }),
    ...(when === 'boot' ? { apart: 'plain' as const } : {}),
  }
  const note = ofHost === undefined || script.when !== undefined ? script.note : `${ofHost.why}: once per instance`
  to.carried(script.locate(1), script.what, [to.script(draft, run, { ...script.keys, inputs: [path] })], note)
}
