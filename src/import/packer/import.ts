import { dirname } from 'node:path'
import type { Collector } from '../collector.ts'
import type { SourceText } from '../model.ts'
import type { PlacedFile } from '../volatile.ts'
import { Variables } from './fill.ts'
import { readHclTemplate } from './hcl-template.ts'
import { readJsonTemplate } from './json.ts'
import { addFileProvisioner } from './file-provisioner.ts'
import { addShellProvisioner } from './shell-provisioner.ts'
import type { PackerProvisioner } from './template.ts'

/** What provisioners share while they are gone through in their order. */
export interface PackerContext {
  readonly to: Collector
  readonly variables: Variables
  /** Folder of the template: files that it names are looked for there, and in the working directory. */
  readonly folder: string
  /** Uploads to places that do not outlast a boot, so far. */
  readonly placed: PlacedFile[]
  /** Text of all scripts, to see which uploads they name. */
  readonly scriptText: string
}

/** Adds the steps of a template for Packer, JSON or HCL2. */
export async function addPacker(source: SourceText, file: string, to: Collector): Promise<void> {
  const template = source.text.trimStart().startsWith('{') ? readJsonTemplate(source) : readHclTemplate(source)
  const variables = new Variables(template.variables, to)
  variables.declare()
  const scriptText = JSON.stringify(
    template.provisioners.filter(({ type }) => type === 'shell').map(({ fields }) => fields),
  )
  const context: PackerContext = { to, variables, folder: dirname(file), placed: [], scriptText }
  for (const provisioner of template.provisioners) await addProvisioner(provisioner, context)
  for (const { at, what, why, hint } of template.others) to.notCarried(at, what, why, hint)
}

async function addProvisioner(provisioner: PackerProvisioner, context: PackerContext): Promise<void> {
  const { type, at } = provisioner
  if (type === 'shell') await addShellProvisioner(provisioner, context)
  else if (type === 'file') await addFileProvisioner(provisioner, context)
  else context.to.notCarried(at, `provisioner ${type}`, ...(otherTypes[type] ?? unknownType))
}

type Reason = readonly [why: string, hint?: string]

const unknownType: Reason = ['there is no step for it', 'write what it does as a script']
const otherTypes: Readonly<Record<string, Reason>> = {
  'shell-local': ['it runs on the machine that builds, not on the host', 'run it before `parbake publish`'],
  ansible: ['playbooks are not looked into', 'copy the playbook into the recipe and write a step of type ansible'],
  'ansible-local': [
    'playbooks are not looked into',
    'copy the playbook into the recipe and write a step of type ansible',
  ],
  'puppet-masterless': ['manifests are not looked into', 'copy them into the recipe and write a step of type puppet'],
  breakpoint: ['it is for people who watch a build', 'see `parbake bake --on-failure shell`'],
  powershell: ['hosts are Linux'],
  'windows-shell': ['hosts are Linux'],
  'windows-restart': ['hosts are Linux'],
}
