import { access, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { z as Zod } from 'zod'
import { beyondClients, type Config } from './config.ts'
import { exitCodes, hasCode, messageOf, UserError } from './errors.ts'
import { displayPath } from './util/display-path.ts'
import { parseDuration } from './util/duration.ts'
import { namePattern, nameRule } from './util/name.ts'
import { parseSize, sizeRule } from './util/size.ts'
import type { YamlDocument } from './util/yaml.ts'

/** The name that is looked for, from the working directory upwards. */
export const configFileName = 'parbake.yaml'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The configuration for a working directory: `file`, else the nearest parbake.yaml upwards, else defaults. Loads the YAML
 * parser and the schema library only where there is a file. Throws UserError (exit code 2) with all that is wrong.
 */
export async function loadConfig(cwd: string, file?: string, env: Environment = process.env): Promise<Config> {
  const path = file === undefined ? await findUpwards(resolve(cwd)) : resolve(cwd, file)
  return path === undefined ? resolveConfig({}, undefined, resolve(cwd), env) : readConfig(path, env)
}

async function findUpwards(folder: string): Promise<string | undefined> {
  const path = join(folder, configFileName)
  try {
    await access(path)
    return path
  } catch {
    const parent = dirname(folder)
    return parent === folder ? undefined : findUpwards(parent)
  }
}

async function readConfig(path: string, env: Environment): Promise<Config> {
  const shown = displayPath(path)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? 'it does not exist' : messageOf(error)
    throw new UserError(`cannot read the configuration ${shown}: ${why}`, { exitCode: exitCodes.usage })
  }
  const { parseYaml } = await import('./util/yaml.ts')
  const document = parseYaml(text, shown)
  // An empty file, or one with comments only, asks for the defaults.
  const values = document.value === null ? {} : await checkConfig(document)
  return resolveConfig(values, path, dirname(path), env)
}

function resolveConfig(values: ConfigFile, file: string | undefined, root: string, env: Environment): Config {
  const home = env['HOME'] || homedir()
  const path = (text: string) => resolve(root, expandHome(text, home))
  const stateDir =
    values.state === undefined
      ? env['PARBAKE_STATE']
        ? resolve(env['PARBAKE_STATE'])
        : join(xdg(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), 'parbake')
      : path(values.state)
  const cacheDir =
    values.cache === undefined
      ? env['PARBAKE_CACHE']
        ? resolve(env['PARBAKE_CACHE'])
        : join(xdg(env['XDG_CACHE_HOME']) ?? join(home, '.cache'), 'parbake')
      : path(values.cache)
  const { hosts = {}, vm = {}, plan = {}, bake = {}, tune = {}, cacheLimits = {} } = values
  const base = typeof values.base === 'string' ? { name: values.base } : { ...values.base }
  return {
    file,
    root,
    store: values.store === undefined ? pathToFileURL(join(stateDir, 'store')).href : storeUrl(values.store, path),
    hosts: {
      endpoint: hosts.endpoint?.replace(/\/+$/, ''),
      auth: hosts.auth ?? 'static',
      ...(hosts.client === undefined ? {} : { client: hosts.client }),
      region: hosts.region ?? 'us-east-1',
      accessKeyEnv: hosts.accessKeyEnv ?? 'PARBAKE_HOST_ACCESS_KEY',
      secretKeyEnv: hosts.secretKeyEnv ?? 'PARBAKE_HOST_SECRET_KEY',
      tags: [...new Set(hosts.tags)].toSorted(),
      ...(hosts.secrets === undefined ? {} : { secrets: hosts.secrets }),
    },
    channel: values.channel ?? 'stable',
    channelExpiryDays: values.channelExpiryDays ?? 0,
    keysDir: values.keys === undefined ? join(stateDir, 'keys') : path(values.keys),
    signing:
      values.signing === undefined
        ? undefined
        : { command: values.signing.command, key: values.signing.key ?? 'default' },
    cacheDir,
    cache: { maxBytes: cacheLimits.steps, packagesMaxBytes: cacheLimits.packages ?? 4 * 1024 ** 3 },
    stateDir,
    base: base.name ?? 'debian-12',
    baseMaxAgeDays: base.maxAgeDays ?? 30,
    vm: { memoryMiB: vm.memory ?? 1024, cpus: vm.cpus ?? 2, accelerator: vm.accelerator ?? 'auto' },
    plan: planOf(plan, bake.maxGrowth),
    tune: { level: tune.level ?? 'default', only: tune.only, except: tune.except ?? [] },
    bake: {
      engine: bake.engine ?? 'auto',
      maxGrowthBytes: bake.maxGrowth,
      verifyLaunches: bake.verifyLaunches ?? 1,
    },
    check: { allow: values.check?.allow ?? {} },
  }
}

/** What the file says; an image that `bake.maxGrowth` would refuse is not planned either. */
function planOf(plan: NonNullable<ConfigFile['plan']>, maxGrowth: number | undefined): Config['plan'] {
  const { minSaving, target, maxImageGrowth = maxGrowth, rebake, ...others } = plan
  const wanted = {
    ...others,
    minSavingSeconds: minSaving,
    targetSeconds: target,
    ...(target === undefined ? {} : { objective: 'target' as const }),
    maxImageGrowthBytes: maxImageGrowth,
    rebakeSeconds: rebake,
  }
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined))
}

/** The XDG rules ignore relative paths. */
function xdg(value: string | undefined): string | undefined {
  return value?.startsWith('/') === true ? value : undefined
}

function expandHome(text: string, home: string): string {
  return text === '~' ? home : text.startsWith('~/') ? join(home, text.slice(2)) : text
}

/** A path, or a file URL with a relative path or `~`, becomes an absolute file URL; other URLs stay as they are. */
function storeUrl(text: string, path: (text: string) => string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return pathToFileURL(path(text)).href
  const relative = /^file:\/\/(~|~\/.*|\.{1,2}|\.{1,2}\/.*)$/.exec(text)?.[1]
  if (relative !== undefined) return pathToFileURL(path(relative)).href
  return text.startsWith('file:///') ? pathToFileURL(fileURLToPath(text)).href : text
}

/** What bootstrap/secrets.sh understands; printable ASCII, for agent.conf is read line by line. */
const secretSource =
  /^(?:file:\/[!-~]+(?: [!-~]+)*|env:\/[!-~]+#[A-Za-z_][A-Za-z0-9_]*|command:[!-~]+(?: [!-~]+)*|(?:ssm|secretsmanager):[!-~]+|vault:https?:\/\/[!-~]+#[!-~]+)$/

const secretSourceRule =
  'must be file:/path, env:/path#NAME, command:…, ssm:NAME, secretsmanager:ID or vault:https://HOST/v1/PATH#FIELD'

/** Takes the library as an argument, so that it is loaded only where there is a file to check. */
function configSchema(z: typeof Zod) {
  const memoryRule = 'must be MiB or a text like "1GiB", at least 128 MiB'

  const memory = z.union([z.number(), z.string()], { error: memoryRule }).transform((value, context) => {
    const mib = parseMemory(value)
    if (mib !== undefined && Number.isInteger(mib) && mib >= 128) return mib
    context.addIssue({ code: 'custom', message: memoryRule })
    return z.NEVER
  })

  const savingRule = 'must be seconds or a text like "1s"'

  const saving = z.union([z.number(), z.string()], { error: savingRule }).transform((value, context) => {
    const seconds = parseDuration(value, 's')
    if (seconds !== undefined) return seconds
    context.addIssue({ code: 'custom', message: savingRule })
    return z.NEVER
  })

  const size = z.union([z.number(), z.string()], { error: sizeRule }).transform((value, context) => {
    const bytes = parseSize(value)
    if (bytes !== undefined) return bytes
    context.addIssue({ code: 'custom', message: sizeRule })
    return z.NEVER
  })

  const price = z.number().min(0).max(1e9)

  const store = z
    .string()
    .regex(
      /^(?:(?:s3|minio):\/\/[^/]+.*|file:\/\/.+|[~./].*)$/,
      'must be an s3://, minio:// or file:// URL, or the path of a folder',
    )

  const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable')

  const path = z.string().min(1)

  const baseName = z.string().min(1)

  const baseOptions = z.strictObject({
    name: baseName.optional(),
    maxAgeDays: z.number().int().min(1).max(3650).optional(),
  })

  return z.strictObject({
    store: store.optional(),
    channel: z.string().regex(namePattern, nameRule).optional(),
    channelExpiryDays: z.number().int().min(0).max(3650).optional(),
    keys: path.optional(),
    signing: z
      .strictObject({ command: z.array(z.string().min(1)).min(1), key: z.string().min(1).optional() })
      .optional(),
    cache: path.optional(),
    cacheLimits: z.strictObject({ steps: size.optional(), packages: size.optional() }).optional(),
    state: path.optional(),
    base: z.union([baseName, baseOptions], { error: 'must be the name of a base, or a mapping' }).optional(),
    hosts: z
      .strictObject({
        endpoint: z
          .string()
          .regex(/^https?:\/\/[^/?#\s]+\/[^?#\s]+$/, 'must be http(s)://host[:port]/bucket[/prefix]')
          .optional(),
        auth: z.enum(['static', 'instance-role', 'presigned', 'anonymous']).optional(),
        client: z.enum(['awscli', 'rclone', 's3cmd']).optional(),
        region: z
          .string()
          .regex(/^[A-Za-z0-9-]+$/, 'must be the name of a region')
          .optional(),
        accessKeyEnv: variable.optional(),
        secretKeyEnv: variable.optional(),
        tags: z.array(z.string().regex(namePattern, nameRule)).max(32).optional(),
        secrets: z
          .record(
            z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no name of an environment variable'),
            z.string().regex(secretSource, secretSourceRule),
          )
          .optional(),
      })
      .refine(
        ({ client, auth }) => client === undefined || auth === undefined || !beyondClients[client].includes(auth),
        {
          message: 'cannot authenticate as auth says: the own requests of the agent can',
          path: ['client'],
        },
      )
      .optional(),
    vm: z
      .strictObject({
        memory: memory.optional(),
        cpus: z.number().int().min(1).max(512).optional(),
        accelerator: z.enum(['auto', 'kvm', 'tcg']).optional(),
      })
      .optional(),
    plan: z
      .strictObject({
        objective: z.enum(['balanced', 'fastest', 'smallest', 'target']).optional(),
        target: saving.optional(),
        minSaving: saving.optional(),
        minShare: z.number().min(0).max(1).optional(),
        maxImageGrowth: size.optional(),
        launchesPerDay: z.number().min(0).max(1e9).optional(),
        secondsPerGiB: z.number().min(0).max(3600).optional(),
        rebake: saving.optional(),
        bakeWeight: z.number().min(0).max(1000).optional(),
        prices: z
          .strictObject({
            currency: z.string().regex(/^\S{1,8}$/),
            launchHour: price,
            bakeHour: price,
            storageGiBMonth: price,
          })
          .optional(),
      })
      .refine(
        ({ objective, target }) => (objective === 'target') === (target !== undefined) || objective === undefined,
        {
          message: "'target' goes with objective 'target', and that needs one, e.g. target: 45s",
          path: ['objective'],
        },
      )
      .optional(),
    tune: z
      .strictObject({
        level: z.enum(['none', 'default', 'deeper']).optional(),
        only: z.array(z.string()).optional(),
        except: z.array(z.string()).optional(),
      })
      .optional(),
    bake: z
      .strictObject({
        engine: z.enum(['auto', 'container', 'vm']).optional(),
        maxGrowth: size.optional(),
        verifyLaunches: z.number().int().min(1).max(20).optional(),
      })
      .optional(),
    check: z
      .strictObject({
        allow: z.record(z.string(), z.string().regex(/\S/, 'must say why')).optional(),
      })
      .optional(),
  })
}

/** parbake.yaml as it was read: absent keys stay absent. */
type ConfigFile = Zod.infer<ReturnType<typeof configSchema>>

/** Checks a parbake.yaml. Throws one UserError (exit code 2) with all problems. */
async function checkConfig(document: YamlDocument): Promise<ConfigFile> {
  const [{ z }, { problemsOf, sortProblems }] = await Promise.all([import('zod'), import('./util/schema-problems.ts')])
  const schema = configSchema(z)
  const problems = sortProblems(problemsOf(schema, document))
  if (problems.length === 0) return schema.parse(document.value)
  throw new UserError(`${document.file} has ${problems.length === 1 ? 'a problem' : `${problems.length} problems`}`, {
    problems,
    exitCode: exitCodes.usage,
    code: 'config-invalid',
  })
}

function parseMemory(value: number | string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(MiB|GiB|M|G)?$/.exec(String(value))
  if (match === null) return undefined
  return Number(match[1]) * (match[2]?.startsWith('G') === true ? 1024 : 1)
}
