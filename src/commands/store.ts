import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { UserError } from '../errors.ts'
import { type PolicyRole, policyRoles, storePolicy } from '../store/policy.ts'
import { namePattern, nameRule } from '../util/name.ts'
import type { App, BuildCommand, CommandContext } from './app.ts'

const defaultPort = 9400

interface ServeFlags {
  readonly port: number
  readonly directory?: string
  readonly bucket: string
}

interface PolicyFlags {
  readonly for: PolicyRole
  readonly bucket?: string
  readonly prefix?: string
  readonly recipe?: string
}

/** `parbake store serve` and `parbake store policy`. */
export const build: BuildCommand = (app) =>
  new Command('store')
    .description('Run an S3 endpoint for this machine, or print what accounts on a real one must be allowed.')
    .addCommand(buildServe(app))
    .addCommand(buildPolicy(app))

function buildServe(app: App): Command {
  return new Command('serve')
    .description('Serve a folder as an S3 bucket on 127.0.0.1 until Ctrl-C; for one machine, no more.')
    .option('--port <number>', 'port to listen on, 0 for any free one', parsePort, defaultPort)
    .option('--directory <dir>', 'folder of the objects (default: "store" in the state folder)')
    .option('--bucket <name>', 'name of the bucket', parseBucket, 'parbake')
    .action(async (flags: ServeFlags, command: Command) => serve(await app.open(command), flags))
}

async function serve(context: CommandContext, flags: ServeFlags): Promise<void> {
  const { serveStore } = await import('../store/server/serve.ts')
  const { loadServeCredentials } = await import('../store/server/credentials.ts')
  const { config, reporter, signal } = context
  const directory = resolve(flags.directory ?? join(config.stateDir, 'store'))
  const credentials = await loadServeCredentials(config.stateDir)
  const served = await serveStore({
    directory,
    bucket: flags.bucket,
    port: flags.port,
    credentials,
    log: (text) => reporter.emit({ type: 'note', text }),
  })
  const endpoint = new URL(served.url).origin
  const storeUrl = `s3://${flags.bucket}?endpoint=${endpoint}`
  const credentialsFile = join(config.stateDir, 'embedded-store.json')
  if (context.json) {
    context.printJson({ endpoint, bucket: flags.bucket, store: storeUrl, directory, credentialsFile, pid: process.pid })
  } else {
    context.print(describe(endpoint, storeUrl, directory, credentialsFile))
  }
  await aborted(signal)
  await served.close()
}

/** The secret key is not printed: terminals and CI logs are kept and shared. */
function describe(endpoint: string, storeUrl: string, directory: string, credentialsFile: string): string {
  return [
    `S3 endpoint  ${endpoint}   (this machine only; guests of QEMU reach it as 10.0.2.2)`,
    `objects      ${directory}`,
    `keys         ${credentialsFile}`,
    '',
    'Use it from another shell:',
    `  export AWS_ACCESS_KEY_ID="$(sed -n 's/.*"accessKey": "\\(.*\\)".*/\\1/p' '${credentialsFile}')"`,
    `  export AWS_SECRET_ACCESS_KEY="$(sed -n 's/.*"secretKey": "\\(.*\\)".*/\\1/p' '${credentialsFile}')"`,
    `  and in parbake.yaml:  store: ${storeUrl}`,
    '',
    'It is for one machine: no TLS, one bucket, no replicas. Ctrl-C ends it.',
  ].join('\n')
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

function buildPolicy(app: App): Command {
  return new Command('policy')
    .description('Print the least that hosts, a publisher or a baker must be allowed, as IAM or MinIO policy.')
    .addOption(new Option('--for <role>', 'whose policy').choices(policyRoles).default('hosts'))
    .option('--bucket <name>', 'bucket (default: from the configured store)', parseBucket)
    .option('--prefix <prefix>', 'prefix in the bucket (default: from the configured store)')
    .option('--recipe <name>', 'allow this recipe only (default: all)', parseRecipeName)
    .action(async (flags: PolicyFlags, command: Command) => printPolicy(await app.open(command), flags))
}

async function printPolicy(context: CommandContext, flags: PolicyFlags): Promise<void> {
  const { parseStoreUrl } = await import('../store/store-url.ts')
  const location = parseStoreUrl(context.config.store)
  const configured = location.kind === 'directory' ? undefined : location
  const bucket = flags.bucket ?? configured?.bucket
  if (bucket === undefined) {
    throw new UserError('the configured store is a directory and has no bucket to write a policy for', {
      exitCode: 2,
      hint: `say which: 'parbake store policy --for ${flags.for} --bucket <name>'`,
    })
  }
  const prefix = flags.prefix ?? (flags.bucket === undefined ? (configured?.prefix ?? '') : '')
  const scope = {
    prefix: prefix.replaceAll(/^\/+|\/+$/g, ''),
    ...(flags.recipe === undefined ? {} : { recipe: flags.recipe }),
  }
  context.printJson(storePolicy(flags.for, bucket, scope))
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is 0 to 65535.')
  return port
}

function parseRecipeName(text: string): string {
  if (!namePattern.test(text)) throw new InvalidArgumentError(`A recipe's name ${nameRule}.`)
  return text
}

function parseBucket(text: string): string {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text)) {
    throw new InvalidArgumentError('A bucket name has 3 to 63 of a-z, 0-9, dot and hyphen.')
  }
  return text
}
