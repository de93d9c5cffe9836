import { Command } from 'commander'
import type { Check, CheckState } from '../doctor/model.ts'
import { UserError } from '../errors.ts'
import type { CellStyle } from '../report/table.ts'
import type { BuildCommand } from './app.ts'

const marks: Readonly<Record<CheckState, { readonly text: string; readonly style: CellStyle }>> = {
  ok: { text: '✓', style: 'green' },
  note: { text: '!', style: 'yellow' },
  missing: { text: '✗', style: 'red' },
  planned: { text: '·', style: 'dim' },
}

/** `parbake doctor`: exit code 1 if something that is needed is missing. */
export const build: BuildCommand = (app) =>
  new Command('doctor')
    .description('Show what is usable here: accelerator, engines, tools, disk, store, keys')
    .action(async (_options: unknown, command: Command) => {
      const context = await app.open(command)
      const { diagnose } = await import('../doctor/diagnose.ts')
      const diagnosis = await diagnose(context)
      if (context.json) {
        context.printJson(diagnosis)
      } else {
        context.print(await renderChecks(diagnosis.checks))
      }
      if (!diagnosis.ok) {
        const missing = diagnosis.checks.filter((check) => check.state === 'missing')
        throw new UserError(
          `${missing.length === 1 ? 'one thing is' : `${missing.length} things are`} missing here: ${missing.map((check) => check.name).join(', ')}`,
          {
            code: 'doctor-missing',
          },
        )
      }
    })

async function renderChecks(checks: readonly Check[]): Promise<string> {
  const { renderTable } = await import('../report/table.ts')
  const columns = [{ header: '' }, { header: 'what' }, { header: 'name' }, { header: 'found', narrow: 'wrap' as const }]
  const rows = checks.map((check) => [
    marks[check.state],
    check.group,
    check.name,
    check.hint === undefined ? check.detail : `${check.detail}: ${check.hint}`,
  ])
  return renderTable(columns, rows)
}
