import { sha256 } from '../util/sha256.ts'

/** A pattern of what is a secret by its form. */
export interface SecretRule {
  readonly id: string
  readonly why: string
  /** Texts one of which is in every match: a fast first look. */
  readonly anchors: readonly string[]
  /** The first group is the secret itself. Matched around an anchor, never over a whole file. */
  readonly pattern: RegExp
}

/** A file that by its name holds secrets, and what of its content is one. */
export interface SecretFileRule {
  readonly id: string
  readonly why: string
  readonly path: RegExp
  /** The first group is the secret itself. */
  readonly content: RegExp
}

export interface SecretMatch {
  readonly id: string
  readonly why: string
  /** Of the match in the text. */
  readonly index: number
}

/** Forms as their issuers document them: a fixed prefix, then characters of a fixed set and number. */
export const secretRules: readonly SecretRule[] = [
  {
    id: 'private-key',
    why: 'a private key',
    anchors: ['PRIVATE KEY'],
    // A header with a body: programs and manuals hold the header alone. Line ends may be escaped, as in JSON.
    pattern:
      /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\r|\\n|\s)+(?:[A-Za-z-]+: [^\n]*\s+)*((?:[A-Za-z0-9+/=]{16,}(?:\\r|\\n|\s)*){2,})/,
  },
  {
    id: 'putty-private-key',
    why: 'a private key',
    anchors: ['PuTTY-User-Key-File-'],
    pattern: /PuTTY-User-Key-File-\d: [\s\S]{0,2000}?Private-Lines: \d+\s+([A-Za-z0-9+/=]{20,})/,
  },
  {
    id: 'age-secret-key',
    why: 'a private key of age',
    anchors: ['AGE-SECRET-KEY-1'],
    pattern: /(AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58})/,
  },
  {
    id: 'aws-access-key-id',
    why: 'the name of an AWS key',
    anchors: ['AKIA', 'ASIA'],
    pattern: /(?<![A-Za-z0-9+/])((?:AKIA|ASIA)[A-Z2-7]{16})(?![A-Za-z0-9+/])/,
  },
  {
    id: 'aws-secret-key',
    why: 'a secret key of AWS or another object store',
    anchors: ['ecret_access_key', 'ECRET_ACCESS_KEY', 'ecretAccessKey'],
    pattern: /ecret_?access_?key["']?\s*[=:]\s*["']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])/i,
  },
  {
    id: 'github-token',
    why: 'a token of GitHub',
    anchors: ['ghp_', 'gho_', 'ghu_', 'ghs_', 'ghr_', 'github_pat_'],
    pattern: /(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})/,
  },
  {
    id: 'gitlab-token',
    why: 'a token of GitLab',
    anchors: ['glpat-', 'glrt-', 'gldt-', 'glcbt-'],
    pattern: /(?<![A-Za-z0-9])(gl(?:pat|rt|dt|cbt)-[A-Za-z0-9_-]{20,})/,
  },
  {
    id: 'slack-token',
    why: 'a token of Slack',
    anchors: ['xoxb-', 'xoxp-', 'xoxa-', 'xoxr-', 'xoxs-', 'xapp-'],
    pattern: /(?<![A-Za-z0-9])(x(?:ox[abprs]|app)-[0-9A-Za-z-]{20,})/,
  },
  {
    id: 'slack-webhook',
    why: 'a webhook of Slack',
    anchors: ['hooks.slack.com/services/'],
    pattern: /hooks\.slack\.com\/services\/(T[A-Z0-9]{8,}\/B[A-Z0-9]{8,}\/[A-Za-z0-9]{20,})/,
  },
  {
    id: 'google-api-key',
    why: 'an API key of Google',
    anchors: ['AIza'],
    pattern: /(?<![A-Za-z0-9_-])(AIza[A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])/,
  },
  {
    id: 'google-oauth-token',
    why: 'an OAuth secret of Google',
    anchors: ['GOCSPX-'],
    pattern: /(GOCSPX-[A-Za-z0-9_-]{28})/,
  },
  {
    id: 'jwt',
    why: 'a signed token (JWT)',
    anchors: ['.eyJ'],
    pattern: /(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,})/,
  },
  {
    id: 'npm-token',
    why: 'a token of npm',
    anchors: ['npm_'],
    pattern: /(?<![A-Za-z0-9_])(npm_[A-Za-z0-9]{36})(?![A-Za-z0-9_])/,
  },
  {
    id: 'pypi-token',
    why: 'a token of PyPI',
    anchors: ['pypi-AgEIcHlwaS5vcmc'],
    pattern: /(pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,})/,
  },
  {
    id: 'vault-token',
    why: 'a token of Vault',
    anchors: ['hvs.', 'hvb.'],
    pattern: /(?<![A-Za-z0-9.])(hv[sb]\.[A-Za-z0-9_-]{24,})/,
  },
  {
    id: 'stripe-key',
    why: 'a live key of Stripe',
    anchors: ['sk_live_', 'rk_live_'],
    pattern: /(?<![A-Za-z0-9])([sr]k_live_[A-Za-z0-9]{24,})/,
  },
  {
    id: 'azure-storage-key',
    why: 'a key of an Azure storage account',
    anchors: ['AccountKey='],
    pattern: /AccountKey=([A-Za-z0-9+/]{86}==)/,
  },
  {
    id: 'url-password',
    why: 'a URL with a password',
    anchors: [
      'http://',
      'https://',
      'ftp://',
      'ssh://',
      'git://',
      'sql://',
      'postgres://',
      'redis://',
      'rediss://',
      'mongodb',
      'amqp',
      'ldap',
    ],
    pattern: /(?<![A-Za-z])[a-z][a-z0-9+]{2,20}:\/\/[A-Za-z0-9._~%+-]{1,64}:([A-Za-z0-9._~!*%+=-]{6,128})@[A-Za-z0-9[]/,
  },
]

export const secretFileRules: readonly SecretFileRule[] = [
  {
    id: 'netrc',
    why: 'a password for a server',
    path: /\/(?:[._]netrc|etc\/apt\/auth\.conf|etc\/apt\/auth\.conf\.d\/[^/]+\.conf)$/,
    content: /\bpassword\s+(\S+)/,
  },
  { id: 'pgpass', why: 'a password for PostgreSQL', path: /\/\.pgpass$/, content: /^(?:[^:#\n]*:){4}([^\n]+)$/m },
  {
    id: 'git-credentials',
    why: 'a password for a Git server',
    path: /\/\.?git[-/]credentials$/,
    content: /:\/\/[^:\s]*:([^@\s]+)@/,
  },
  {
    id: 'registry-login',
    why: 'a login at a container registry',
    path: /\/(?:\.docker\/config\.json|\.dockercfg|containers\/auth\.json)$/,
    content: /"(?:auth|identitytoken|registrytoken)"\s*:\s*"([^"]{4,})"/,
  },
  {
    id: 'npmrc',
    why: 'a login at an npm registry',
    path: /\/\.?npmrc$/,
    content: /(?:_authToken|_auth|_password)\s*=\s*["']?([^\s"'$]{8,})/,
  },
  { id: 'pypirc', why: 'a password for a Python index', path: /\/\.pypirc$/, content: /^\s*password\s*[=:]\s*(\S+)/m },
  {
    id: 'mysql-password',
    why: 'a password for MySQL',
    path: /\/\.(?:my|mylogin)\.cnf$/,
    content: /^\s*password\s*=\s*["']?([^\s"']+)/m,
  },
  {
    id: 'kubeconfig',
    why: 'a login at a Kubernetes cluster',
    path: /\/(?:\.kube\/config|kubeconfig|[^/]+\.kubeconfig|etc\/kubernetes\/[^/]+\.conf)$/,
    content: /\b(?:client-key-data|token|password):\s*["']?([A-Za-z0-9+/=._-]{16,})/,
  },
  {
    id: 'cifs-password',
    why: 'a password for a file server',
    path: /\/(?:\.?smbcredentials|etc\/[^/]*cifs[^/]*|etc\/samba\/[^/]*cred[^/]*)$/,
    content: /^\s*password\s*=\s*(\S+)/m,
  },
  {
    id: 'rclone-config',
    why: 'a login at a store',
    path: /\/rclone\.conf$/,
    content: /^\s*(?:secret_access_key|pass|token|client_secret)\s*=\s*(\S+)/m,
  },
  {
    id: 's3cfg',
    why: 'a login at a store',
    path: /\/\.(?:s3cfg|passwd-s3fs|mc\/config\.json|boto)$/,
    content: /(?:secret_?key|secretKey|^[A-Z0-9]{8,}:)["']?\s*[=:]?\s*["']?([^\s"']{8,})/m,
  },
]

/** Values that stand for a secret in manuals and samples. */
const placeholder =
  /EXAMPLE|^(?:pass(?:word|wd|phrase)?\d*|secret|token|user(?:name)?|changeme|hunter2|your\w*|my\w*password|redacted|foobar|example|proxypass|sekret|xyz|abc)$|^[x*.]+$|^(.)\1+$|^%|^\$|^\{|^<|\.\.\.|x{6}/i

/** True where a found secret stands for one only. */
export function isPlaceholder(secret: string): boolean {
  return placeholder.test(secret)
}

const anchorRules = new Map<string, SecretRule[]>()
for (const rule of secretRules) {
  for (const anchor of rule.anchors) anchorRules.set(anchor, [...(anchorRules.get(anchor) ?? []), rule])
}

// One expression for all: the regular expression machine is the fastest way to look for short texts.
const anyAnchor = new RegExp([...anchorRules.keys()].map((anchor) => anchor.replaceAll('.', '\\.')).join('|'), 'g')

/** Bytes around an anchor that a match may lie in: a private key is longer, but shows itself at its beginning. */
export const reach = { before: 256, after: 2560 } as const

/** Changes with every rule for secrets by form in a text. */
export function secretRulesDigest(): string {
  const rules = secretRules.map(({ id, anchors, pattern }) => [id, anchors, pattern.source, pattern.flags])
  return sha256(JSON.stringify([rules, placeholder.source, placeholder.flags, reach]))
}

/** Secrets by form in a text (bytes as Latin-1 characters), each once, in order. */
export function findSecrets(text: string): readonly SecretMatch[] {
  const matches = new Map<string, SecretMatch>()
  for (const hit of text.matchAll(anyAnchor)) {
    const start = Math.max(0, hit.index - reach.before)
    const around = text.slice(start, hit.index + reach.after)
    for (const rule of anchorRules.get(hit[0]) ?? []) {
      for (const match of around.matchAll(globally(rule.pattern))) {
        const at = start + match.index
        // Another anchor is nearer to it.
        if (at > hit.index || at + match[0].length <= hit.index) continue
        if (isPlaceholder(match[1] ?? '')) continue
        matches.set(`${rule.id} ${at}`, { id: rule.id, why: rule.why, index: at })
      }
    }
  }
  return [...matches.values()].toSorted((a, b) => a.index - b.index)
}

const compiled = new WeakMap<RegExp, RegExp>()
function globally(pattern: RegExp): RegExp {
  let global = compiled.get(pattern)
  if (global === undefined) compiled.set(pattern, (global = new RegExp(pattern, `${pattern.flags}g`)))
  return global
}

/** Secrets in a file that is known by its name. */
export function findFileSecrets(path: string, text: string): readonly SecretMatch[] {
  return secretFileRules
    .filter((rule) => rule.path.test(path))
    .flatMap((rule) => {
      const match = rule.content.exec(text)
      return match === null || isPlaceholder(match[1] ?? '') ? [] : [{ id: rule.id, why: rule.why, index: match.index }]
    })
}

/** True where a file is known by its name to hold secrets. `path` is absolute on its disk. */
export function isSecretFile(path: string): boolean {
  return secretFileRules.some((rule) => rule.path.test(path))
}

/** True where a short text, e.g. the value of a variable, is or holds a secret by its form. */
export function secretIn(text: string): boolean {
  return findSecrets(text).length > 0
}
