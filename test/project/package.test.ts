import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { cliHome, runCli } from '../support/cli.ts'
import { repository } from '../support/source-files.ts'

const exec = promisify(execFile)

interface PackageJson {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
}

const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8')) as PackageJson

describe('the npm package', () => {
  test('holds what runs and nothing else', async () => {
    await using home = await cliHome()
    const { stdout } = await exec('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: repository,
      env: { ...process.env, npm_config_cache: join(home.cwd, 'npm') },
      maxBuffer: 64 * 1024 * 1024,
    })
    const [pack] = JSON.parse(stdout) as [{ files: { path: string }[] }]
    const paths = pack.files.map(({ path }) => path)
    for (const path of [
      'dist/cli.js',
      'dist/index.js',
      'dist/index.d.ts',
      'bases/debian-12.yaml',
      'bases/common/debian.yaml',
      'bootstrap/agent.sh',
      'recipes/web/recipe.yaml',
    ])
      expect(paths).toContain(path)
    const strange = paths.filter(
      (path) => !/^(bases|dist|bootstrap|recipes)\//.test(path) && !/^(package\.json|README\.md|LICENSE)$/.test(path),
    )
    expect(strange).toEqual([])
    expect(paths.filter((path) => /\.(key|pem|tsbuildinfo)$/.test(path))).toEqual([])
  })

  test('exports files that exist', () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : [entry.types, entry.default],
    )
    expect(targets.filter((path) => !existsSync(join(repository, path)))).toEqual([])
  })

  test('has an executable that says its version', async () => {
    const path = join(repository, manifest.bin['parbake'] ?? '')
    await access(path, constants.X_OK)
    const { stdout } = await exec(path, ['--version'])
    expect(stdout).toBe(`${manifest.version}\n`)
  })

  test('reports bad usage by its exit code', async () => {
    await using home = await cliHome()
    expect((await runCli(['--no-such-option'], home)).exitCode).toBe(2)
  })
})

describe('tracked files', () => {
  test('hold no secret and no path of somebody’s machine', async () => {
    const { stdout } = await exec('git', ['ls-files', '-z'], { cwd: repository, maxBuffer: 64 * 1024 * 1024 })
    const paths = stdout.split('\0').filter((path) => path !== '' && existsSync(join(repository, path)))
    expect(paths.length).toBeGreaterThan(20)
    const findings: string[] = []
    for (const path of paths) {
      const text = await readFile(join(repository, path), 'latin1')
      for (const [what, pattern] of forbidden) {
        const match = pattern.exec(text)
        if (match !== null && path !== 'test/project/package.test.ts') findings.push(`${path}: ${what}: ${match[0]}`)
      }
    }
    expect(findings).toEqual([])
  })
})

const forbidden: readonly (readonly [string, RegExp])[] = [
  ['private key', /-----BEGIN (?:OPENSSH |RSA |EC |ENCRYPTED )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{20}/],
  // AWS's own documentation example is no secret.
  ['access key', /\bAKIA(?!IOSFODNN7EXAMPLE\b)[0-9A-Z]{16}\b/],
  ['machine path', /(?<![\w.-])\/work\/(?:main|shared)\b/],
  // A lock file made behind a proxy would name it.
  ['registry host', /"resolved": "https?:\/\/(?!registry\.npmjs\.org\/)[^"]*/],
]

describe('README.md', () => {
  test('links to files that exist', async () => {
    const text = await readFile(join(repository, 'README.md'), 'utf8')
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '')
    const headings = new Set(
      [...prose.matchAll(/^#+ (.+)$/gm)].map((match) =>
        (match[1] ?? '')
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      ),
    )
    const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '')
    const broken = targets.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false
      if (target.startsWith('#')) return !headings.has(target.slice(1))
      return !existsSync(join(repository, dirname('README.md'), target.replace(/#.*$/, '')))
    })
    expect(broken).toEqual([])
  })
})
