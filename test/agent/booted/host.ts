import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openRelay } from '../../../src/bake/container/relay.ts'
import { loadAgent, loadStage0 } from '../../../src/bundle/agent.ts'
import { signChannel } from '../../../src/bundle/channel.ts'
import { packBundle } from '../../../src/bundle/pack.ts'
import type { Context } from '../../../src/context.ts'
import { keys } from '../../../src/store/keys.ts'
import { run, type RunResult } from '../../../src/system/run.ts'
import { renderUserData } from '../../../src/user-data/render.ts'
import { Cleanup } from '../../../src/util/cleanup.ts'
import { sha256, type Sha256 } from '../../../src/util/sha256.ts'
import { openPlace, startContainer, type BootedContainer, type HostPlace } from '../../../src/verify/container/boot.ts'
import { writeControl } from '../../../src/verify/container/control.ts'
import { signingKey, testRecipe, type StepSpec } from '../../support/agent.ts'
import { startEmbedded, type Embedded } from '../../support/embedded.ts'
import { faultProxy, type FaultProxy } from '../../support/fault-proxy.ts'

/** What a step of these tests is named, and which version of the recipe it is of. */
interface Work {
  readonly name: string
  readonly version: string
}

/** Where steps leave what they did. */
export const workFolder = '/srv/work'

/** The name by which hosts know their store: a line of /etc/hosts, which a test may take away. */
const storeName = 'store.parbake.test'

const rootPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What each step leaves: data that is long in coming and, at the very end, a file that tells its digest. */
const script = ({ name, version }: Work) => `set -eu
mkdir -p ${workFolder}
cd ${workFolder}
for part in 1 2 3 4; do head -c 16384 /dev/urandom; sleep 0.03; done >${name}.data
sha256sum <${name}.data >${name}.new
echo ${version} >>${name}.new
mv ${name}.new ${name}`

/** Prints `stamp DIGEST MARK NAME` and `work NAME VERSION whole|broken`. */
const lookScript = `cd /var/lib/parbake/stamps 2>/dev/null &&
for file in *; do [ ! -f "$file" ] || echo "stamp $file $(cat "$file")"; done
cd ${workFolder} 2>/dev/null || exit 0
for file in *; do
  case $file in *.*|'*') continue ;; esac
  [ "$(sha256sum <"$file.data")" = "$(head -n 1 "$file")" ] && state=whole || state=broken
  echo "work $file $(tail -n 1 "$file") $state"
done`

/** Prints the command that cron is to start. */
const cronLine = `sed -n 's/^[0-9].* root //p' /etc/cron.d/parbake`

/** What a host says of itself. */
export interface Look {
  /** Steps that the agent holds for done. */
  readonly stamped: readonly Work[]
  /** Steps whose work is there and whole. */
  readonly done: readonly Work[]
}

export interface Published {
  /** Digest of the agent that the channel names. */
  readonly agent: Sha256
}

/** The unit that converges at boot. */
export const agentUnit = 'parbake-boot.service'

/**
 * A host as a fleet has it: the Debian base in a container with its own systemd and cloud-init, provisioned by user-data from
 * an S3 endpoint on this machine, which a proxy in between can break.
 */
export class BootedHost implements AsyncDisposable {
  readonly proxy: FaultProxy
  readonly place: HostPlace
  readonly #context: Context
  readonly #stack: Cleanup
  readonly #embedded: Embedded
  readonly #key = signingKey()
  readonly #works = new Map<Sha256, Work>()
  readonly #userData: Buffer
  #container: BootedContainer | undefined
  #pid = 0
  #serial = 0

  private constructor(
    context: Context,
    parts: { stack: Cleanup; embedded: Embedded; proxy: FaultProxy; place: HostPlace; url: string },
  ) {
    this.#context = context
    this.#stack = parts.stack
    this.#embedded = parts.embedded
    this.proxy = parts.proxy
    this.place = parts.place
    const { accessKey, secretKey } = parts.embedded.account
    this.#userData = renderUserData({
      target: 'nocloud',
      stage0: loadStage0(),
      conf: {
        recipe: 'web',
        channel: 'stable',
        store: parts.url,
        region: 'us-east-1',
        credentials: { auth: 'static', accessKey, secretKey },
        trustedKeys: [this.#key.publicKey],
        purpose: 'fleet',
        // No converge but those that a test asks for.
        everyMinutes: 60,
      },
    }).bytes
  }

  /** Prepares a host with an empty store; nothing runs yet. */
  static async create(context: Context, disk: string): Promise<BootedHost> {
    await using stack = new Cleanup()
    const embedded = stack.use(await startEmbedded())
    const proxy = stack.use(await faultProxy(embedded.port))
    const place = stack.use(await openPlace(context, disk, 'booted'))
    const relay = stack.use(await openRelay(place.network, proxy.port))
    const url = new URL('/parbake', relay.url)
    url.hostname = storeName
    const hosts = `127.0.0.1 localhost\\n${new URL(relay.url).hostname} ${storeName}\\n`
    await place.root.namespace.run('sh', ['-c', `printf '${hosts}' >"$1/etc/hosts"`, 'sh', place.root.root])
    return new BootedHost(context, { stack: stack.move(), embedded, proxy, place, url: url.href })
  }

  /** Boots, and resolves when process 1 runs and has its network. */
  async boot(): Promise<void> {
    const { place } = this
    await writeControl(place.control, { userData: this.#userData, host: place.host, net: place.network.net })
    this.#container = await startContainer(this.#context, place, {
      consoleLog: join(place.work, 'console.log'),
      onLine: () => {},
    })
    this.#pid = await this.#container.attach()
  }

  get #running(): BootedContainer {
    if (this.#container === undefined) throw new Error('the host is off')
    return this.#container
  }

  /** As if the plug were pulled: nothing in the host is told. */
  async cut(): Promise<void> {
    await this.#container?.[Symbol.asyncDispose]()
    this.#container = undefined
  }

  /** Waits until a system that powers off by itself is off. */
  async poweredOff(): Promise<void> {
    await this.#ended('exit code 0')
  }

  /** Boots a system again that asked for that: nspawn says so by its exit code. */
  async rebooted(): Promise<void> {
    await this.#ended('exit code 133')
    await this.boot()
  }

  async #ended(how: string): Promise<void> {
    const end = await Promise.race([this.#running.process.exited, sleep(300_000)])
    if (end?.how !== how) throw new Error(`the host ended with ${end?.how}, not ${how}:\n${await this.console()}`)
    await this.cut()
  }

  /** The host's console up to now. */
  console(): Promise<string> {
    return readFile(join(this.place.work, 'console.log'), 'utf8')
  }

  /** Runs a script in the host as root, with nothing of the environment of this process. */
  sh(text: string): Promise<RunResult> {
    const inside = [`--target=${this.#pid}`, '--all', '--', 'env', '-i', `PATH=${rootPath}`, 'HOME=/root']
    return run('nsenter', [...inside, 'sh', '-c', `cd /\n${text}`], { allowFailure: true, timeoutMs: 400_000 })
  }

  /** Publishes a version of the recipe, and with `agent` another agent. */
  async publish(version: string, options: { steps?: readonly StepSpec[]; agent?: boolean } = {}): Promise<Published> {
    const recipe = testRecipe(options.steps ?? usualSteps(version))
    for (const { digest, name } of recipe.steps) this.#works.set(digest, { name, version })
    const { bytes } = await packBundle(recipe)
    const agent = `${loadAgent().text}${options.agent === true ? `# ${version}\n` : ''}`
    this.#serial += 1
    const channel = signChannel(
      {
        ...{ kind: 'bundle', recipe: recipe.name, channel: 'stable', serial: this.#serial, expires: 0 },
        ...{ bundle: sha256(bytes), bundleBytes: bytes.length, agent: sha256(agent) },
        published: new Date().toISOString().replace(/\.\d+/, ''),
      },
      this.#key,
    )
    for (const [key, body] of [
      [keys.agent(sha256(agent)), agent],
      [keys.bundle(recipe.name, sha256(bytes)), bytes],
      [keys.channel(recipe.name, 'stable'), channel],
    ] as const) {
      const { status } = await this.#embedded.put(key, body)
      if (status !== 200) throw new Error(`the store answered ${status} for ${key}`)
    }
    return { agent: sha256(agent) }
  }

  /** What is done, and what counts as done. */
  async look(): Promise<Look> {
    const { stdout } = await this.sh(lookScript)
    const lines = stdout.split('\n').map((line) => line.split(' '))
    return {
      stamped: lines.flatMap(([word, digest, , name]) => {
        if (word !== 'stamp') return []
        return [this.#works.get(digest as Sha256) ?? { name: name ?? '', version: 'unknown' }]
      }),
      done: lines.flatMap(([word, name = '', version = '', state]) =>
        word === 'work' && state === 'whole' ? [{ name, version }] : [],
      ),
    }
  }

  /** Whether a path is there, whether the host runs or not. No link in it is followed as the host would. */
  hasFile(path: string): boolean {
    const { root } = this.place
    return existsSync(join(root.namespace.path(root.root), path))
  }

  /** Waits until a converge of this boot has ended well and reported. */
  async converged(): Promise<void> {
    const ended = `[ -e /run/parbake/converged ] && ! systemctl is-active --quiet ${agentUnit} && ! pgrep -x parbake-agent >/dev/null`
    await until('the host converges', async () => (await this.sh(ended)).exitCode === 0)
  }

  /** Makes the host one that has nothing but stage-0, and not run it yet. */
  async forget(): Promise<void> {
    await this.do(
      `rm -rf /var/lib/parbake /run/parbake ${workFolder} /usr/local/sbin/parbake-agent*`,
      'sed -i s,/usr/local/sbin/parbake-agent,/usr/local/lib/parbake/stage0,g /etc/cron.d/parbake /etc/systemd/system/parbake-boot.service',
      'systemctl daemon-reload',
    )
  }

  /** Makes what cron would start a unit of its own, so that it can be killed with all that it has started. */
  async makeCronUnit(): Promise<string> {
    const unit = 'parbake-test-cron.service'
    await this.do(
      `printf '[Service]\nExecStart=/bin/sh -c "%s"\n' "$(${cronLine})" >/run/systemd/system/${unit}`,
      'systemctl daemon-reload',
    )
    return unit
  }

  /** Starts what cron would start, as cron would. */
  async runCronLine(): Promise<RunResult> {
    return this.sh(`env -i PATH=/usr/bin:/bin HOME=/root SHELL=/bin/sh sh -c "$(${cronLine})"`)
  }

  /** Milliseconds that a unit runs when nothing disturbs it. */
  async timed(unit: string): Promise<number> {
    const begin = performance.now()
    await this.do(`systemctl start ${unit}`, `while systemctl is-active --quiet ${unit}; do sleep 0.02; done`)
    return performance.now() - begin
  }

  /** Starts a unit and kills all of it after this many milliseconds. False where it had ended before that. */
  async killed(unit: string, delay: number): Promise<boolean> {
    const { stdout } = await this.do(
      `systemctl start ${unit}`,
      `sleep ${(delay / 1000).toFixed(3)}`,
      `systemctl kill --signal=KILL --kill-whom=all ${unit} || :`,
      `while systemctl is-active --quiet ${unit}; do sleep 0.02; done`,
      `systemctl show --property=Result --value ${unit}`,
      `systemctl reset-failed ${unit} 2>/dev/null || :`,
    )
    return stdout.trim() === 'signal'
  }

  /** Runs commands in the host that must succeed. */
  async do(...commands: readonly string[]): Promise<RunResult> {
    const result = await this.sh(`set -e\n${commands.join('\n')}`)
    if (result.exitCode !== 0) throw new Error(`${commands.join('; ')} ended with ${result.exitCode}: ${result.stderr}`)
    return result
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cut()
    await this.#stack[Symbol.asyncDispose]()
  }
}

/** Two that stand alone, one that needs both, and one that needs that. */
export function usualSteps(version: string): readonly StepSpec[] {
  const step = (name: string, needs: readonly string[]) => ({ name, script: script({ name, version }), needs })
  return [step('one', []), step('two', []), step('three', ['one', 'two']), step('four', ['three'])]
}

/** Polls until something holds, at most five minutes, with pauses of so many milliseconds. */
export async function until(what: string, holds: () => Promise<boolean> | boolean, pause = 50): Promise<void> {
  const deadline = performance.now() + 300_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`)
    await sleep(pause)
  }
}
