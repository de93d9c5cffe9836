import { createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { KeyAtHand } from '../bundle/channel.ts'
import { clusterBytes } from '../image/qcow2/clusters.ts'
import type { ClusterContent } from '../image/qcow2/contents.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import type { Needle } from './needles.ts'
import { secretRulesDigest, type SecretMatch } from './secret-rules.ts'
import type { SeenBytes } from './seen.ts'

const schema = z.object({
  v: z.literal(1),
  rules: z.string(),
  clusterBytes: z.literal(clusterBytes),
  /** HMACs: a password that was looked for must not be guessable from the cache. */
  needles: z.array(z.string()),
  secrets: z.array(z.object({ id: z.string(), why: z.string(), index: z.number().int().nonnegative() })),
  contents: z.array(z.tuple([z.number().int(), z.string()])),
})

type Look = z.infer<typeof schema>

/** Where the record of the look at an image's disk lies. */
export function lookBeside(image: string): string {
  return `${image.replace(/\.qcow2$/, '')}.seen.json`
}

/** What of a disk the look that is recorded in a file has seen; undefined where there is none, or it went by other rules. */
export async function readLook(
  path: string,
  contents: readonly ClusterContent[],
  signingKey: KeyAtHand,
): Promise<SeenBytes | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  const parsed = text === undefined ? undefined : parse(text)
  if (parsed === undefined || parsed.rules !== secretRulesDigest()) return undefined
  const looked = new Set(parsed.needles)
  const nameOf = needleNames(signingKey)
  return { ...seenBytes(parsed, contents), looked: (needle) => looked.has(nameOf(needle)) }
}

/** Records what a look has searched, and found of secrets by form. Never fails: it only makes the next look slower. */
export async function writeLook(path: string, { contents, secrets, needles }: LookRecord): Promise<void> {
  const document: z.input<typeof schema> = {
    v: 1,
    rules: secretRulesDigest(),
    clusterBytes,
    needles: needles === undefined ? [] : needles.absent.map(needleNames(needles.signingKey)),
    secrets: [...secrets],
    contents: contents.map(({ guest, content }): [number, string] => [guest, encode(content)]),
  }
  await writeFileAtomic(path, JSON.stringify(document), 0o600, { durable: false }).catch(() => {})
}

export interface LookRecord {
  readonly contents: readonly ClusterContent[]
  /** By form, wherever they may be. */
  readonly secrets: readonly SecretMatch[]
  /** Those that are nowhere, and the key whose private part hides them. */
  readonly needles?: { readonly absent: readonly Needle[]; readonly signingKey: KeyAtHand }
}

/**
 * Compares by content and not by place: what was written anew may have moved. Two clusters are one run only where they
 * followed one another before, for what lies across their border was not seen else. Pure.
 */
export function seenBytes(
  { contents: before, secrets }: Pick<Look, 'contents' | 'secrets'>,
  contents: readonly ClusterContent[],
): Pick<SeenBytes, 'ranges' | 'secrets'> {
  const next = new Map<string, Set<string>>()
  for (const [at, [guest, content]] of before.entries()) {
    const followers = next.get(content) ?? new Set()
    const follower = before[at + 1]
    followers.add(follower?.[0] === guest + 1 ? follower[1] : '')
    next.set(content, followers)
  }
  const placed = new Map<string, { readonly offset: number; readonly match: SecretMatch }[]>()
  const contentAt = new Map(before)
  for (const match of secrets) {
    const content = contentAt.get(Math.floor(match.index / clusterBytes)) ?? ''
    placed.set(content, [...(placed.get(content) ?? []), { offset: match.index % clusterBytes, match }])
  }
  const ranges: { start: number; length: number }[] = []
  const found: SecretMatch[] = []
  let previous: { readonly guest: number; readonly content: string } | undefined
  for (const { guest, content: bytes } of contents) {
    const content = encode(bytes)
    if (!next.has(content)) {
      previous = undefined
      continue
    }
    const run = ranges.at(-1)
    const follows = previous?.guest === guest - 1 && next.get(previous.content)?.has(content) === true
    if (run !== undefined && follows) run.length += clusterBytes
    else ranges.push({ start: guest * clusterBytes, length: clusterBytes })
    for (const { offset, match } of placed.get(content) ?? []) {
      found.push({ ...match, index: guest * clusterBytes + offset })
    }
    previous = { guest, content }
  }
  return { ranges, secrets: found }
}

function parse(text: string): Look | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

/** Names that only who has the signing key can tell the needles from. */
function needleNames({ privateKey }: KeyAtHand): (needle: Needle) => string {
  // Behind a command there is no such secret: what is recorded then, nobody can compare with anything.
  const own = privateKey?.export({ type: 'pkcs8', format: 'der' }) ?? randomBytes(32)
  const secret = createHmac('sha256', 'parbake needles').update(own)
  const key = secret.digest()
  return ({ bytes }) => createHmac('sha256', key).update(bytes).digest('base64')
}

function encode(content: string): string {
  return Buffer.from(content, 'latin1').toString('base64')
}
