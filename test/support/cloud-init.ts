import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { run, type RunResult } from '../../src/system/run.ts'
import { tempDir } from '../../src/system/temp.ts'

/**
 * The files of a Debian package, unpacked below the cache but never installed: an installed cloud-init would provision this
 * machine at its next boot.
 */
export async function unpackedPackage(name: string): Promise<string> {
  const cache =
    process.env['PARBAKE_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'parbake')
  const parent = join(cache, 'test-tools')
  const root = join(parent, name)
  if (existsSync(root)) return root
  await mkdir(parent, { recursive: true })
  const work = await mkdtemp(join(parent, `${name}-`))
  try {
    await run('apt-get', ['download', name], { cwd: work, purpose: `test with ${name}` })
    const deb = (await readdir(work)).find((file) => file.endsWith('.deb')) ?? `${name}.deb`
    await run('dpkg-deb', ['-x', join(work, deb), join(work, 'root')])
    // Test files run side by side; whoever comes second finds the name taken and uses what is there.
    await rename(join(work, 'root'), root).catch((error: unknown) => {
      if (!existsSync(root)) throw error
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
  return root
}

/** Where the real cloud-init has its Python modules; what they depend on the test set-up installs. */
export async function cloudInitModules(): Promise<string> {
  return join(await unpackedPackage('cloud-init'), 'usr/lib/python3/dist-packages')
}

/** Runs `cloud-init schema` on a document; exit code 0 means valid. */
export async function checkCloudConfig(text: string): Promise<RunResult> {
  await using dir = await tempDir('cloud-init')
  const file = join(dir.path, 'user-data')
  await writeFile(file, text)
  return await run('/usr/bin/python3', ['-m', 'cloudinit.cmd.main', 'schema', '--config-file', file], {
    env: { PYTHONPATH: await cloudInitModules(), PYTHONDONTWRITEBYTECODE: '1' },
    allowFailure: true,
  })
}

/** Every top-level key that some module of this cloud-init knows: its own checker takes unknown ones without a word. */
export async function cloudInitKeys(): Promise<ReadonlySet<string>> {
  const file = join(await cloudInitModules(), 'cloudinit/config/schemas/schema-cloud-config-v1.json')
  const schema = JSON.parse(await readFile(file, 'utf8')) as {
    $defs: Record<string, { properties?: Record<string, unknown> }>
    allOf: readonly { $ref: string }[]
  }
  return new Set(
    schema.allOf.flatMap(({ $ref }) => Object.keys(schema.$defs[$ref.replace('#/$defs/', '')]?.properties ?? {})),
  )
}

/** A document as PyYAML's safe loader, the one cloud-init uses, reads it. Values must be what JSON can hold. */
export async function readWithPyYaml(text: string): Promise<unknown> {
  const program = 'import json,sys,yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read().decode("utf-8"))))'
  const result = await run('/usr/bin/python3', ['-c', program], { input: text })
  return JSON.parse(result.stdout) as unknown
}

/** What cloud-init's write_files module would write for one entry, by its own decoder. */
export async function decodeWriteFile(entry: {
  readonly content: string
  readonly encoding?: string
}): Promise<Buffer> {
  const program = [
    'import json,sys',
    'from cloudinit.config import cc_write_files as w',
    'e = json.load(sys.stdin)',
    'data = w.extract_contents(e["content"], w.canonicalize_extraction(e.get("encoding")))',
    'sys.stdout.write((data if isinstance(data, bytes) else data.encode("utf-8")).hex())',
  ].join('\n')
  const result = await run('/usr/bin/python3', ['-c', program], {
    input: JSON.stringify(entry),
    env: { PYTHONPATH: await cloudInitModules(), PYTHONDONTWRITEBYTECODE: '1' },
  })
  return Buffer.from(result.stdout, 'hex')
}

/** A part of user-data as cloud-init's own reader finds it. */
export interface ReadPart {
  readonly type: string
  readonly name: string
  readonly content: string
  readonly mergeType: string | null
}

/** User-data in parts, unpacked and typed by cloud-init itself; texts are those that its handlers get. */
export async function readUserDataParts(userData: string | Uint8Array): Promise<readonly ReadPart[]> {
  const program = [
    'import json,sys',
    'from cloudinit import handlers, user_data, util',
    'from cloudinit.helpers import Paths',
    'message = user_data.UserDataProcessor(Paths({})).process(sys.stdin.buffer.read())',
    'parts = []',
    'def see(data, filename, payload, headers):',
    '    headers = dict(headers)',
    '    text = payload if isinstance(payload, str) else util.decode_binary(payload)',
    '    parts.append({"type": headers.get("Content-Type", "").split(";")[0], "name": filename,',
    '        "content": text, "mergeType": headers.get("Merge-Type")})',
    'handlers.walk(message, see, None)',
    'print(json.dumps(parts))',
  ].join('\n')
  const result = await run('/usr/bin/python3', ['-c', program], {
    input: userData,
    env: { PYTHONPATH: await cloudInitModules(), PYTHONDONTWRITEBYTECODE: '1' },
  })
  return JSON.parse(result.stdout) as readonly ReadPart[]
}

/** The one cloud-config that cloud-init merges several parts into, in their order. */
export async function mergeByCloudInit(parts: readonly ReadPart[]): Promise<unknown> {
  const program = [
    'import json,sys,yaml',
    'from cloudinit.handlers import cloud_config',
    'class Paths:',
    '    def get_ipath(self, name): return None',
    'handler = cloud_config.CloudConfigPartHandler(Paths())',
    'for part in json.load(sys.stdin):',
    '    headers = {"Merge-Type": part["mergeType"]} if part["mergeType"] else {}',
    '    handler.handle_part(None, part["type"], part["name"], part["content"], None, headers)',
    'print(json.dumps(handler.cloud_buf))',
  ].join('\n')
  const result = await run('/usr/bin/python3', ['-c', program], {
    input: JSON.stringify(parts),
    env: { PYTHONPATH: await cloudInitModules(), PYTHONDONTWRITEBYTECODE: '1' },
  })
  return JSON.parse(result.stdout)
}

/** The cloud-config documents among the examples that come with cloud-init, by file name, as plain data. */
export async function cloudInitExamples(): Promise<ReadonlyMap<string, unknown>> {
  const program = [
    'import glob,gzip,json,os,sys,yaml',
    'found = {}',
    'for file in sorted(glob.glob(sys.argv[1] + "/cloud-config*")):',
    '    text = (gzip.open if file.endswith(".gz") else open)(file, "rt").read()',
    '    if not text.startswith("#cloud-config\\n"): continue',
    '    try: found[os.path.basename(file)] = yaml.safe_load(text)',
    '    except yaml.YAMLError: pass',
    'json.dump(found, sys.stdout, default=str)',
  ].join('\n')
  const folder = join(await unpackedPackage('cloud-init'), 'usr/share/doc/cloud-init/examples')
  const result = await run('/usr/bin/python3', ['-c', program, folder])
  return new Map(Object.entries(JSON.parse(result.stdout) as Record<string, unknown>))
}
