import type { LintedScript, Rule } from '../model.ts'
import { hasOption, operands, optionValue, type Call } from '../shell/call.ts'
import { inScripts } from './scripts.ts'

const interpreters: ReadonlySet<string> = new Set([
  ...['sh', 'bash', 'dash', 'ash', 'ksh', 'zsh', 'python', 'python3', 'perl', 'ruby', 'node', 'php'],
])

/** What keeps, unpacks or installs what it is fed. */
const keepers: ReadonlySet<string> = new Set([
  ...['tar', 'bsdtar', 'gpg', 'apt-key', 'tee', 'cpio', 'gunzip', 'gzip', 'zcat', 'unzip', 'xz', 'dd', 'mysql', 'psql'],
])

const verifiers: ReadonlySet<string> = new Set([
  ...['sha1sum', 'sha224sum', 'sha256sum', 'sha384sum', 'sha512sum', 'b2sum', 'shasum', 'gpgv', 'cosign', 'minisign'],
  ...['signify', 'signify-openbsd', 'sq'],
])

/** A URL that it fetches from another machine, or undefined: local services and uploads are no downloads. */
function fetchedUrl({ name, args }: Call): string | undefined {
  if (name !== 'curl' && name !== 'wget') return undefined
  if (
    name === 'curl' &&
    hasOption(args, '-d', '--data', '--data-binary', '--data-raw', '-T', '--upload-file', '-I', '--head')
  )
    return undefined
  if (name === 'wget' && hasOption(args, '--spider', '--post-data', '--post-file')) return undefined
  if (/^(?:POST|PUT|DELETE|PATCH|HEAD)$/.test(optionValue(args, '-X', '--request', '--method')?.text ?? ''))
    return undefined
  const url = [...args].map(({ text }) => text).find((text) => /^(?:https?|ftp):\/\/|^\$\{?\w*url/i.test(text))
  return url === undefined || isLocal(url) ? undefined : url
}

/** This host, or the metadata service, which has nothing to install. */
function isLocal(url: string): boolean {
  return /^https?:\/\/(?:localhost|127\.|\[::1\]|0\.0\.0\.0|169\.254\.169\.254|\[fd00:ec2::254\]|metadata\.google\.internal|100\.100\.100\.200)/.test(
    url,
  )
}

/** Commands that stand inside of a word of this call, e.g. in `sh -c "$(curl …)"`. */
function isInside(inner: Call, outer: Call): boolean {
  const { offset } = inner.command
  return outer.args.some((word) => word.offset <= offset && offset < word.offset + word.raw.length)
}

function isVerified({ calls }: LintedScript, after: number): boolean {
  return calls.some(({ name, args, command }) => {
    if (command.offset < after) return false
    if (verifiers.has(name)) return true
    if (name === 'gpg') return hasOption(args, '--verify')
    return name === 'openssl' && /^(?:dgst|pkeyutl)$/.test(operands(args)[0]?.text ?? '')
  })
}

/** What runs the download: the interpreter behind the pipe, around the substitution, or undefined. */
function runnerOf(fetch: Call, { calls }: LintedScript): Call | undefined {
  return calls.find((call) => {
    const runs = interpreters.has(call.name) || call.name === 'eval' || call.name === '.' || call.name === 'source'
    if (!runs || call === fetch) return false
    const isFed = call.command.pipedIn && call.command.pipeline === fetch.command.pipeline
    return (isFed && call.command.offset > fetch.command.offset && readsProgram(call)) || isInside(fetch, call)
  })
}

/** `sh`, `sh -s -- x` and `python3 -` run what they are fed; `python3 -c …` and `python3 tool.py` only read it. */
function readsProgram({ args }: Call): boolean {
  const [first] = args
  if (first === undefined || hasOption(args, '-s')) return true
  return (
    !hasOption(args, '-c', '-e', '-m', '-n', '-p') &&
    operands(args).every(({ text }) => text === '-' || text === '/dev/stdin')
  )
}

function isKept(fetch: Call, { calls }: LintedScript): boolean {
  const { args, name, command } = fetch
  const target = optionValue(args, ...(name === 'curl' ? ['-o', '--output'] : ['-O', '--output-document']))?.text
  const redirect = command.redirects.find(({ operator, fd }) => operator.startsWith('>') && (fd ?? '1') === '1')?.target
    .text
  if (redirect !== undefined) return !redirect.startsWith('/dev/') && !/^\d/.test(redirect)
  if (target !== undefined && target !== '-') return !target.startsWith('/dev/')
  if (name === 'curl' && hasOption(args, '-O', '--remote-name', '--remote-name-all')) return true
  if (name === 'wget' && target === undefined) return true
  return calls.some(
    (call) => call.command.pipeline === command.pipeline && call.command.pipedIn && keepers.has(call.name),
  )
}

export const downloadRules: readonly Rule[] = [
  {
    id: 'pipe-to-shell',
    severity: 'warning',
    finds: 'a download is run as it comes (`curl … | sh`, `sh -c "$(curl …)"`)',
    why:
      'Whoever controls the server, or the name that leads to it, is root on every host, and nobody sees what ran: what ' +
      'comes tomorrow is another script than what was tested today. A connection that breaks runs half of it.',
    fix: 'download to a file, check its digest with sha256sum -c, then run it; or keep the script in the recipe',
    example: {
      bad: `- name: tool
  type: script
  run: curl -fsSL https://get.example.com/install.sh | sh`,
      good: `- name: tool
  type: script
  run: |
    curl -fsSL -o install.sh https://get.example.com/install.sh
    echo 'c8ec…4d1e  install.sh' | sha256sum -c -
    sh install.sh`,
    },
    check: inScripts(({ script, report }) => {
      for (const call of script.calls) {
        const runner = fetchedUrl(call) === undefined ? undefined : runnerOf(call, script)
        if (runner !== undefined)
          report(runner.word.offset, `${runner.name} runs what ${call.name} downloads, unseen`, call)
      }
    }),
  },
  {
    id: 'download-unverified',
    severity: 'warning',
    finds: 'a download is kept without a check of its digest or signature',
    why:
      'A file that changes at its source changes hosts without a change of the recipe: the step digest stays the same, ' +
      'so one image has the old and the next the new content, or that of somebody else.',
    fix: "use a step of type fetch or archive with its sha256; or check it: echo 'SHA256  FILE' | sha256sum -c -",
    example: {
      bad: `- name: tool
  type: script
  run: curl -fsSL -o /usr/local/bin/tool https://example.com/tool-1.2`,
      good: `- name: tool
  type: fetch
  url: https://example.com/tool-1.2
  sha256: 1f0a1c5ed2f0c0b31c4d3a0e5a6b4c7d8e9fa0b1c2d3e4f5061728394a5b6c7d
  destination: /usr/local/bin/tool
  mode: '0755'`,
    },
    check: inScripts(({ script, report }) => {
      for (const call of script.calls) {
        if (fetchedUrl(call) === undefined || runnerOf(call, script) !== undefined) continue
        if (isKept(call, script) && !isVerified(script, call.command.offset)) {
          report(call.word.offset, `what ${call.name} downloads is kept without a check of its digest`, call)
        }
      }
    }),
  },
]
