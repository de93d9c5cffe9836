import { generateKeyPairSync } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { loadAgent, loadStage0 } from '../../src/bundle/agent.ts'
import { signChannel, type BundleChannel, type SigningKey } from '../../src/bundle/channel.ts'
import { packBundle } from '../../src/bundle/pack.ts'
import { reportSchema, type Report, type StepReport } from '../../src/profile/report.ts'
import { stepDigest } from '../../src/recipe/digest.ts'
import type { Recipe, RecipeSchedule, Step, When } from '../../src/recipe/model.ts'
import { keys } from '../../src/store/keys.ts'
import { tempDir, type TempDir } from '../../src/system/temp.ts'
import { sha256, type Sha256 } from '../../src/util/sha256.ts'

/** Every shell that the agent must run under, as argv. */
export const shells = {
  dash: ['dash'],
  bash: ['bash', '--posix'],
  busybox: ['busybox', 'ash'],
  mksh: ['mksh'],
} as const

export type ShellName = keyof typeof shells

/** Of tests that do not name one: many do with each; PARBAKE_TEST_SHELL takes another for all the rest. */
const defaultShell = shellOf(process.env['PARBAKE_TEST_SHELL'] ?? 'dash')

function shellOf(name: string): ShellName {
  const known = (Object.keys(shells) as ShellName[]).find((shell) => shell === name)
  if (known === undefined) throw new Error(`PARBAKE_TEST_SHELL is '${name}', none of ${Object.keys(shells).join(', ')}`)
  return known
}

/** One step of a test recipe; the rest has defaults. */
export interface StepSpec {
  readonly name: string
  /** Lines after the shebang. */
  readonly script: string
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  readonly needs?: readonly string[]
  readonly when?: When
  readonly timeoutSeconds?: number
  readonly retries?: number
  readonly trace?: boolean
  readonly packages?: boolean
  readonly reboot?: boolean
  /** The first line of the script; `#!/bin/sh` by default. */
  readonly interpreter?: string
}

/** A rendered recipe with true digests. */
export function testRecipe(
  specs: readonly StepSpec[],
  options: { name?: string; everyMinutes?: number; parallel?: number; schedule?: RecipeSchedule } = {},
): Recipe {
  const steps: Step[] = []
  for (const spec of specs) {
    const needs = spec.needs ?? steps.map((step) => step.name)
    const rendered = {
      script: `${spec.interpreter ?? '#!/bin/sh'}\n${spec.script}\n`,
      env: spec.env ?? {},
      files: Object.entries(spec.files ?? {}).map(([path, text]) => ({
        path,
        executable: false,
        content: Buffer.from(text),
      })),
    }
    const digests = needs.map((name) => steps.find((step) => step.name === name)!.digest)
    steps.push({
      name: spec.name,
      type: 'script',
      when: spec.when ?? 'change',
      bake: 'auto',
      timeoutSeconds: spec.timeoutSeconds ?? 60,
      retries: spec.retries ?? 0,
      ...(spec.trace === true ? { trace: true } : {}),
      ...(spec.packages === true ? { packages: true } : {}),
      ...(spec.reboot === true ? { reboot: true } : {}),
      rendered,
      needs,
      digest: stepDigest({ type: 'script', rendered, needs: digests }),
    })
  }
  const name = options.name ?? 'web'
  const everyMinutes = options.everyMinutes ?? 15
  const { parallel, schedule } = options
  return {
    name,
    folder: '/nowhere',
    file: '/nowhere/recipe.yaml',
    params: {},
    everyMinutes,
    ...(parallel === undefined ? {} : { parallel }),
    ...(schedule === undefined ? {} : { schedule }),
    steps,
  }
}

/** A fresh Ed25519 key. */
export function signingKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { privateKey, publicKey: publicKey.export({ format: 'der', type: 'spki' }).toString('base64') }
}

/** What a test gets wrong on purpose when it publishes. */
export interface PublishOverrides {
  readonly content?: Partial<BundleChannel>
  readonly key?: SigningKey
  /** The bundle's bytes; the channel names their digest. */
  readonly bytes?: Buffer
  /** Changes the channel's text after it was signed. */
  readonly tamper?: (text: string) => string
}

export interface RunOptions {
  readonly shell?: ShellName
  /** `stage0`: start that in the agent's place. */
  readonly program?: 'agent' | 'stage0'
  readonly env?: Readonly<Record<string, string>>
}

export interface AgentResult {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export const testSecrets = { accessKey: 'AKIDTEST', secretKey: 'se/cret+key/that+nobody=may"see\\' } as const

/**
 * A host that is a folder: the agent, its settings, state and logs in it, and beside it a store folder that it pulls from.
 * Nothing outside of it is touched. `sleep` and `sync` do nothing unless asked for.
 */
export class AgentHost implements AsyncDisposable {
  readonly root: string
  readonly store: string
  readonly key = signingKey()
  #serial = 0
  readonly #dir: TempDir
  readonly #children: ChildProcess[] = []

  private constructor(dir: TempDir) {
    this.#dir = dir
    this.root = dir.path
    this.store = join(dir.path, 'store')
  }

  static async create(conf: Readonly<Record<string, string>> = {}): Promise<AgentHost> {
    const host = new AgentHost(await tempDir('agent-test'))
    for (const folder of ['store', 'etc/cron.d', 'etc/systemd/system', 'etc/ssh', 'out', 'bin', 'conf', 'sbin']) {
      await mkdir(host.path(folder), { recursive: true })
    }
    await writeFile(host.path('etc/machine-id'), '0123456789abcdef0123456789abcdef\n')
    await writeFile(host.path('etc/ssh/ssh_host_ed25519_key.pub'), 'ssh-ed25519 AAAA test\n')
    await writeFile(host.path('instance-id'), 'i-one\n')
    // What boots there are on the machine of the test is none of a test's business.
    await writeFile(host.path('container'), '')
    await writeFile(host.agentPath, loadAgent().text, { mode: 0o755 })
    await symlink('/bin/true', host.path('bin/sync'))
    // What looks at the logs of steps once a second would keep a processor busy.
    await host.fake('sleep', '[ "$*" != 1.0 ] || exec /bin/sleep 1')
    await host.configure(conf)
    return host
  }

  /** As user-data leaves a fresh machine: stage-0 in the agent's place, and the agent in the store. */
  async beforeAgent(fetches: 'own' | 'client' = 'own'): Promise<void> {
    const agent = readFileSync(this.agentPath)
    await this.put(keys.agent(sha256(agent)), agent)
    await mkdir(this.path('lib'))
    await writeFile(this.path('lib/stage0'), loadStage0(fetches), { mode: 0o755 })
    await rm(this.agentPath)
  }

  path(...parts: readonly string[]): string {
    return join(this.root, ...parts)
  }

  get agentPath(): string {
    return this.path('sbin/parbake-agent')
  }

  /** Writes agent.conf: a file:// store with this host's key unless `conf` says otherwise. */
  async configure(conf: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = {
      recipe: 'web',
      channel: 'stable',
      store: `file://${this.store}`,
      auth: 'anonymous',
      region: 'us-east-1',
      key: this.key.publicKey,
      purpose: 'fleet',
      every: '15',
      ...conf,
    }
    const text = Object.entries(all).map(([name, value]) => `${name}=${value}\n`)
    await writeFile(this.path('conf/agent.conf'), text.join(''), { mode: 0o600 })
  }

  /** A program that stands first on the agent's PATH. */
  async fake(name: string, script: string): Promise<void> {
    const path = this.path('bin', name)
    await rm(path, { force: true })
    await writeFile(path, `#!/bin/sh\n${script}\n`)
    await chmod(path, 0o755)
  }

  /** Packs, signs and puts a recipe into the store folder, as publishing does. */
  async publish(recipe: Recipe, overrides: PublishOverrides = {}): Promise<BundleChannel> {
    const bytes = overrides.bytes ?? (await packBundle(recipe)).bytes
    this.#serial += 1
    const content: BundleChannel = {
      kind: 'bundle',
      recipe: recipe.name,
      channel: 'stable',
      serial: this.#serial,
      bundle: sha256(bytes),
      bundleBytes: bytes.length,
      agent: existsSync(this.agentPath) ? sha256(readFileSync(this.agentPath)) : loadAgent().sha256,
      published: '2026-11-20T10:00:00Z',
      expires: 0,
      ...overrides.content,
    }
    const text = signChannel(content, overrides.key ?? this.key)
    await this.put(keys.bundle('web', content.bundle), bytes)
    await this.put(keys.channel('web', 'stable'), overrides.tamper?.(text) ?? text)
    return content
  }

  async put(key: string, body: Buffer | string): Promise<void> {
    const path = join(this.store, key)
    await mkdir(dirname(path), { recursive: true })
    await rm(path, { force: true })
    await writeFile(path, body)
  }

  /** Environment in which everything that the agent would touch is in this folder. */
  env(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PATH: `${this.path('bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
      PARBAKE_CONF: this.path('conf/agent.conf'),
      PARBAKE_STATE: this.path('state'),
      PARBAKE_RUN: this.path('run'),
      PARBAKE_ETC: this.path('etc'),
      PARBAKE_LOG: this.path('agent.log'),
      PARBAKE_CONSOLE: this.path('console'),
      PARBAKE_INSTANCE_FILE: this.path('instance-id'),
      PARBAKE_INSTANCE_DATA: this.path('instance-data.json'),
      PARBAKE_CONTAINER: this.path('container'),
      PARBAKE_CLOUD_STATUS: this.path('status.json'),
      PARBAKE_CLOUD_LOG: this.path('cloud-init.log'),
      PARBAKE_SELF: this.agentPath,
      PARBAKE_STAGE0: this.path('lib/stage0'),
      ...extra,
    }
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    const [command, ...first] = shells[options.shell ?? defaultShell]
    const program = options.program === 'stage0' ? this.path('lib/stage0') : this.agentPath
    const child = spawn(command, [...first, program, ...args], {
      env: this.env(options.env),
      cwd: this.root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#children.push(child)
    return child
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<AgentResult> {
    return collect(this.start(args, options))
  }

  /** Runs a converge by hand and returns its report; fails where the exit code is not `code`. */
  async converge(options: RunOptions & { readonly code?: number } = {}): Promise<Report> {
    const result = await this.run(['run'], options)
    if (result.code !== (options.code ?? 0)) {
      throw new Error(`the agent ended with ${result.code ?? result.signal}:\n${result.stderr}`)
    }
    return this.report()
  }

  /** The last report, checked against the schema. */
  report(): Report {
    return reportSchema.parse(JSON.parse(readFileSync(this.path('state/report.json'), 'utf8')))
  }

  /** A text file below the root, '' where there is none. */
  text(...parts: readonly string[]): string {
    const path = this.path(...parts)
    return existsSync(path) ? readFileSync(path, 'utf8') : ''
  }

  /** Lines that steps wrote to out/trace. */
  trace(): string[] {
    return this.text('out/trace').split('\n').slice(0, -1)
  }

  async clearTrace(): Promise<void> {
    await rm(this.path('out'), { recursive: true, force: true })
    await mkdir(this.path('out'))
  }

  /** What a reboot does to the host: /run is empty. */
  async reboot(): Promise<void> {
    // What a killed agent left may write its last there.
    await rm(this.path('run'), { recursive: true, force: true, maxRetries: 10 })
  }

  /** A step that writes its name to the trace and then does `more`. */
  step(name: string, more = '', rest: Omit<StepSpec, 'name' | 'script'> = {}): StepSpec {
    return { name, script: `echo ${name} >>${this.path('out/trace')}\n${more}`, ...rest }
  }

  stamped(digest: Sha256): boolean {
    return existsSync(this.path('state/stamps', digest))
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    // Only those that a failed test left.
    for (const child of this.#children) child.kill('SIGKILL')
    return this.#dir[Symbol.asyncDispose]()
  }
}

/** Waits for the end of a child and what it printed. */
export function collect(child: ChildProcess): Promise<AgentResult> {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk))
  return new Promise((done, failed) => {
    child.once('error', failed)
    // Not 'close': a daemon that a step left may keep the pipes open.
    child.once('exit', (code, signal) => {
      setImmediate(() =>
        done({ code, signal, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }),
      )
    })
  })
}

/** Process ids of the children of a process. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
}

/** The process groups of the steps that an agent runs now: children of its watchers that lead a group of their own. */
export function runningSteps(agent: ChildProcess): number[] {
  // After the name, which may hold anything: state, parent, group.
  const groupOf = (pid: number) => Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[2])
  return childrenOf(agent.pid!)
    .flatMap(childrenOf)
    .filter((pid) => groupOf(pid) === pid)
}

/** That of the only step. */
export function runningStep(agent: ChildProcess): number {
  const [step, ...more] = runningSteps(agent)
  if (step === undefined || more.length > 0) throw new Error('not one step runs')
  return step
}

/** Polls until `condition` holds; throws after ten seconds. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let count = 0; count < 1000; count += 1) {
    if (condition()) return
    await new Promise((done) => setTimeout(done, 10))
  }
  throw new Error(`never happened: ${what}`)
}

/** Name and outcome of every step of a report. */
export function outcomes(report: Report): Record<string, StepReport['outcome']> {
  return Object.fromEntries(report.steps.map((step) => [step.name, step.outcome]))
}

/** All files below a folder joined, for searching. */
export async function readAll(paths: readonly string[]): Promise<string> {
  const texts = await Promise.all(paths.filter(existsSync).map((path) => readFile(path, 'latin1')))
  return texts.join('\n')
}
