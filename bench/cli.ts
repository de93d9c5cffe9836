/**
 * Commands that people wait for, as whole processes against `node -e 0`, in turn. Targets: at most twice for the sample recipe,
 * below ten times for a project of 200 recipes with 20 steps each.
 *
 *   npm run build && npx tsx bench/cli.ts [RUNS]
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { countArgument, figureRows } from './figures.ts'

const runs = countArgument(process.argv[2], 21)
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const recipe = fileURLToPath(new URL('../recipes/web', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'parbake-bench-'))
const env = { ...process.env, PARBAKE_STATE: home, PARBAKE_CACHE: join(home, 'cache') }

function seconds(args: readonly string[], cwd = home): number {
  const start = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env, cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')} failed: ${stderr}`)
  return (performance.now() - start) / 1000
}

/** As teams write them: packages, files, scripts with parameters, and a base that all extend. */
function writeProject(folder: string, recipes: number, steps: number): void {
  const write = (name: string, lines: readonly string[]) => {
    mkdirSync(join(folder, 'recipes', name), { recursive: true })
    writeFileSync(join(folder, 'recipes', name, 'recipe.yaml'), `${lines.join('\n')}\n`)
  }
  write('base', ['steps:', '  - {name: tools, type: packages, install: [curl, jq], needs: []}'])
  for (let index = 1; index < recipes; index += 1) {
    const lines = ['extends: [../base]', 'params: {port: 8080, greeting: hello}', 'steps:']
    for (let step = 1; step < steps; step += 1) {
      const name = `step-${step}`
      const needs = step === 1 ? 'tools' : `step-${step - 1}`
      lines.push(
        ...(step % 2 === 0
          ? [
              `  - {name: ${name}, type: template, destination: /etc/app-${index}-${step}.conf, needs: [${needs}],`,
              `     content: "port={{port}} # {{greeting}}\\n"}`,
            ]
          : [
              `  - {name: ${name}, type: script, needs: [${needs}], env: {PORT: '{{port}}'},`,
              `     run: 'printf "%s\\n" "$PORT" >/srv/port-${index}-${step}'}`,
            ]),
      )
    }
    write(`app-${index}`, lines)
  }
}

const project = join(home, 'project')
writeProject(project, 200, 20)
const commands: readonly (readonly [string, readonly string[], string?])[] = [
  ['node -e 0', ['-e', '0']],
  ['parbake --version', [cli, '--version']],
  ['parbake user-data', [cli, 'user-data', recipe, '--target', 'nocloud']],
  ['parbake check', [cli, 'check', recipe]],
  ['parbake check, 200 recipes', [cli, 'check'], project],
]

try {
  seconds([cli, 'keys', 'init'])
  // The first run compiles, and looks at scripts that nobody has looked at.
  for (const [, args, cwd] of commands) seconds(args, cwd)
  const groups = new Map(commands.map(([name]): [string, number[]] => [name, []]))
  for (let run = 0; run < runs; run += 1) {
    for (const [name, args, cwd] of commands) groups.get(name)?.push(seconds(args, cwd))
  }
  process.stdout.write(`${figureRows(groups, 's')}\n`)
} finally {
  rmSync(home, { recursive: true, force: true })
}
