/**
 * Commands that people wait for, as whole processes against `node -e 0`, in turn. Targets: at most twice for the sample recipe,
 * below ten times for a project of 200 recipes with 20 steps each. Beside them what others take to wrap one file as
 * user-data, where Debian packages can be had.
 *
 *   npm run build && npx tsx bench/cli.ts [RUNS]
 *
 * `anew` is a check that has nothing remembered but what shellcheck said of each script; without that word, nothing has
 * changed since the last check.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cloudInitModules, unpackedPackage } from '../test/support/cloud-init.ts'
import { countArgument, figureRows } from './figures.ts'

const runs = countArgument(process.argv[2], 21)
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const recipe = fileURLToPath(new URL('../recipes/web', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'parbake-bench-'))
const cache = join(home, 'cache')

interface Contender {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** A folder that goes before every run. */
  readonly without?: string
}

interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
}

function measure({ command, args, cwd = home, env = {}, without }: Contender): Cost {
  if (without !== undefined) rmSync(without, { recursive: true, force: true })
  const cpuBefore = childrenCpuSeconds()
  const start = performance.now()
  const { status, stderr } = spawnSync(command, args, {
    env: { ...process.env, PARBAKE_STATE: home, PARBAKE_CACHE: cache, ...env },
    cwd,
    encoding: 'utf8',
  })
  const seconds = (performance.now() - start) / 1000
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`)
  return { seconds, cpuSeconds: childrenCpuSeconds() - cpuBefore }
}

/** Of all children that have ended; counted by the kernel in hundredths of a second, so only sums of many runs say much. */
function childrenCpuSeconds(): number {
  const afterName = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? []
  return (Number(afterName[13]) + Number(afterName[14])) / 100
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

/** What cloud-init itself and Debian's cloud-image-utils have for making user-data of one file; none where they cannot be had. */
async function others(): Promise<readonly Contender[]> {
  const file = join(home, 'user-data.yaml')
  writeFileSync(file, '#cloud-config\nruncmd: [[touch, /srv/ready]]\n')
  try {
    const [modules, utils, images] = await Promise.all([
      cloudInitModules(),
      unpackedPackage('cloud-image-utils'),
      unpackedPackage('genisoimage'),
    ])
    const path = [join(images, 'usr/bin'), process.env['PATH'] ?? ''].join(delimiter)
    return [
      {
        name: 'cloud-init devel make-mime',
        command: '/usr/bin/python3',
        args: ['-m', 'cloudinit.cmd.main', 'devel', 'make-mime', '-a', `${file}:cloud-config`],
        env: { PYTHONPATH: modules },
      },
      {
        name: 'cloud-localds',
        command: join(utils, 'usr/bin/cloud-localds'),
        args: [join(home, 'seed.iso'), file],
        env: { PATH: path },
      },
    ]
  } catch (error) {
    process.stderr.write(`without cloud-init and cloud-localds: ${String(error)}\n`)
    return []
  }
}

const project = join(home, 'project')
const answers = join(cache, 'lint', 'answers')
const own = (name: string, ...args: readonly string[]): Contender => ({ name, command: process.execPath, args })

try {
  writeProject(project, 200, 20)
  measure(own('keys', cli, 'keys', 'init'))
  const contenders = [
    own('node -e 0', '-e', '0'),
    own('parbake --version', cli, '--version'),
    own('parbake user-data', cli, 'user-data', recipe, '--target', 'nocloud'),
    own('check', cli, 'check', recipe),
    { ...own('check, anew', cli, 'check', recipe), without: answers },
    { ...own('check 200 recipes', cli, 'check'), cwd: project },
    { ...own('check 200 recipes, anew', cli, 'check'), cwd: project, without: answers },
    ...(await others()),
  ]
  const [first] = [{ ...own('', cli, 'check'), cwd: project }].map(measure)
  // The first runs compile, and an answer is kept when shellcheck has seen all scripts.
  for (const contender of contenders) {
    for (let run = 0; run < (contender.without === undefined ? 3 : 1); run += 1) measure(contender)
  }
  const wall = new Map(contenders.map(({ name }): [string, number[]] => [name, []]))
  const cpu = new Map(contenders.map(({ name }): [string, number] => [name, 0]))
  for (let run = 0; run < runs; run += 1) {
    for (const contender of contenders) {
      // What the runs without it took away comes back first.
      if (contender.without === undefined) measure(contender)
      const { seconds, cpuSeconds } = measure(contender)
      wall.get(contender.name)?.push(seconds)
      cpu.set(contender.name, (cpu.get(contender.name) ?? 0) + cpuSeconds)
    }
  }
  const reference = cpu.get('node -e 0') ?? Number.NaN
  const cpuRows = [...cpu].map(([name, sum]) => {
    const ratio = (sum / reference).toFixed(2)
    return `${name.padEnd(28)} ${(sum / runs).toFixed(2).padStart(8)} s  ${ratio} times the first`
  })
  process.stdout.write(`${figureRows(wall, 's')}\n\nCPU, means\n${cpuRows.join('\n')}\n\n`)
  process.stdout.write(`the very first check of the 200, with shellcheck: ${first?.seconds.toFixed(1)} s\n`)
} finally {
  rmSync(home, { recursive: true, force: true })
}
