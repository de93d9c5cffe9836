/**
 * What it costs a host to find out that nothing is to be done: the agent with twenty steps that have their stamps, beside
 * `ansible-pull` with twenty tasks (with and without `--only-if-changed`) and `puppet apply` with twenty resources, where they
 * are installed (Debian: ansible-core, git, puppet-agent; /usr/bin/time from the package time). CPU seconds of all processes,
 * peak memory of the largest, in turn. Targets: 50 times less CPU than puppet, 15 times less than `ansible-pull
 * --only-if-changed`, 16 MB.
 *
 *   npx tsx bench/agent/noop.ts [RUNS]
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { serveStore } from '../../src/store/server/serve.ts'
import { AgentHost, testRecipe } from '../../test/support/agent.ts'
import { countArgument, figureRows } from '../figures.ts'

const runs = countArgument(process.argv[2], 5)
const credentials = { accessKey: 'AKIDBENCH', secretKey: 'bench+secret/key' }
/** So many runs are measured at once: one takes less than the clock can tell. */
const agentRuns = 20

interface Contender {
  readonly name: string
  /** A shell command that does it `times` times. */
  readonly command: string
  readonly times: number
}

interface Cost {
  readonly cpuSeconds: number
  readonly peakMiB: number
}

/** The store is in this process, so this must not wait in a synchronous call. */
async function measure({ command, times }: Contender, host: AgentHost): Promise<Cost> {
  const child = spawn('/usr/bin/time', ['-f', '%U %S %M', 'sh', '-c', command], { env: host.env(), cwd: host.root })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  child.stdout.resume()
  const code = await new Promise((done) => child.once('close', done))
  const match = /^([0-9.]+) ([0-9.]+) (\d+)$/m.exec(errors)
  if (code !== 0 || match === null) throw new Error(`${command} ended with ${String(code)}: ${errors}`)
  const [user, system, kilobytes] = match.slice(1).map(Number)
  return { cpuSeconds: ((user ?? 0) + (system ?? 0)) / times, peakMiB: (kilobytes ?? 0) / 1024 }
}

function ansible(host: AgentHost): Contender[] {
  if (spawnSync('sh', ['-c', 'command -v ansible-pull && command -v git']).status !== 0) return []
  const repository = host.path('ansible')
  mkdirSync(repository)
  const tasks = Array.from(
    { length: 20 },
    (_, index) => `    - file: {path: ${host.path(`a${index}`)}, state: directory}`,
  )
  const play = ['- hosts: all', '  connection: local', '  gather_facts: false', '  tasks:', ...tasks, '']
  writeFileSync(`${repository}/local.yml`, play.join('\n'))
  const git = 'git -c user.name=bench -c user.email=bench@example.com'
  spawnSync('sh', ['-c', `git init -q && git add . && ${git} commit -qm one`], { cwd: repository })
  const pull = `ansible-pull -U file://${repository} -d ${host.path('checkout')} -i localhost,`
  return [
    { name: 'ansible-pull', command: `HOME=${host.root} ${pull} local.yml`, times: 1 },
    { name: '… --only-if-changed', command: `HOME=${host.root} ${pull} --only-if-changed local.yml`, times: 1 },
  ]
}

function puppet(host: AgentHost): Contender[] {
  if (spawnSync('sh', ['-c', 'command -v puppet']).status !== 0) return []
  const resources = Array.from(
    { length: 20 },
    (_, index) => `file { '${host.path(`p${index}`)}': ensure => directory }`,
  )
  writeFileSync(host.path('site.pp'), `${resources.join('\n')}\n`)
  return [{ name: 'puppet apply', command: `HOME=${host.root} puppet apply ${host.path('site.pp')}`, times: 1 }]
}

const host = await AgentHost.create()
const served = await serveStore({ directory: host.store, bucket: 'bucket', port: 0, credentials, log: () => {} })
try {
  await host.configure({
    store: served.url,
    auth: 'static',
    access_key: credentials.accessKey,
    secret_key: credentials.secretKey,
  })
  await host.publish(testRecipe(Array.from({ length: 20 }, (_, index) => host.step(`step-${index}`))))
  await host.converge()
  const loop = `i=0; while [ $i -lt ${agentRuns} ]; do ${host.agentPath} run --trigger cron || exit; i=$((i + 1)); done`
  const contenders = [{ name: 'parbake-agent', command: loop, times: agentRuns }, ...ansible(host), ...puppet(host)]
  // The first run makes what the others find.
  for (const contender of contenders) await measure(contender, host)
  const cpu = new Map(contenders.map(({ name }): [string, number[]] => [name, []]))
  const peak = new Map(contenders.map(({ name }): [string, number[]] => [name, []]))
  for (let run = 0; run < runs; run += 1) {
    for (const contender of contenders) {
      const cost = await measure(contender, host)
      cpu.get(contender.name)?.push(cost.cpuSeconds * 1000)
      peak.get(contender.name)?.push(cost.peakMiB)
    }
  }
  process.stdout.write(`CPU\n${figureRows(cpu, 'ms')}\n\nlargest process\n${figureRows(peak, 'MiB')}\n`)
} finally {
  await served.close()
  await host[Symbol.asyncDispose]()
}
