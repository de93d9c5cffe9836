import { access, copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { UefiFlash } from './qemu-args.ts'

/** How a machine starts: SeaBIOS, which QEMU brings along, or UEFI by OVMF. */
export type Firmware = 'bios' | 'uefi'

/** A pair of OVMF's files that belong together. */
interface UefiFiles {
  readonly code: string
  /** The variables as they come; each machine writes to a copy of its own. */
  readonly vars: string
}

/** Where distributions put OVMF. The larger flash first: newer releases have nothing else. */
const places: readonly (readonly [folder: string, code: string, vars: string])[] = [
  ['/usr/share/OVMF', 'OVMF_CODE_4M.fd', 'OVMF_VARS_4M.fd'],
  ['/usr/share/OVMF', 'OVMF_CODE.fd', 'OVMF_VARS.fd'],
  ['/usr/share/edk2/ovmf', 'OVMF_CODE.fd', 'OVMF_VARS.fd'],
  ['/usr/share/edk2/x64', 'OVMF_CODE.4m.fd', 'OVMF_VARS.4m.fd'],
]

/** OVMF without secure boot. Throws UserError with code `tool-missing` where there is none; `root` is for tests. */
export async function findUefiFiles(root = '/'): Promise<UefiFiles> {
  for (const [folder, code, vars] of places) {
    const files = { code: join(root, folder, code), vars: join(root, folder, vars) }
    if ((await exists(files.code)) && (await exists(files.vars))) return files
  }
  throw new UserError('OVMF was not found, which is needed to boot a virtual machine by UEFI', {
    hint: 'install it: apt-get install ovmf (on Debian and Ubuntu)',
    code: 'tool-missing',
  })
}

/** UEFI keeps its boot entries in flash: every machine gets fresh ones in a folder that goes with it. */
export async function ownFlash(folder: string): Promise<UefiFlash> {
  const files = await findUefiFiles()
  const vars = join(folder, 'uefi-vars.fd')
  await copyFile(files.vars, vars)
  return { code: files.code, vars }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
