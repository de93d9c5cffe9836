import { spawn } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Signer } from '../bundle/channel.ts'
import type { SigningDefaults } from '../config.ts'
import { InterruptedError, UserError } from '../errors.ts'
import { isPublicKey } from './public-key.ts'

/** A command that says nothing for so long is stopped: it may wait for a PIN that nobody enters. */
const timeoutMs = 120_000
const rawLength = 64

/**
 * A key that only a command can use: an HSM, a cloud's key service. The command gets the bytes on its standard input and
 * prints the signature, 64 raw bytes or their base64; each one is verified before it is used. Throws a UserError (exit code 2)
 * where the public key is not known.
 */
export function commandSigner(signing: SigningDefaults, keysDir: string, signal: AbortSignal): Signer {
  const publicKey = publicKeyOf(signing.key, keysDir)
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
  return {
    publicKey,
    sign: async (message) => {
      const signature = parseSignature(await callCommand(signing.command, message, signal))
      if (signature !== undefined && verify(null, message, key, signature)) return signature
      throw new UserError(
        `the signing command '${signing.command[0]}' did not return a signature of the key ${publicKey}`,
        {
          hint:
            signature === undefined
              ? 'it must print the raw Ed25519 signature, 64 bytes, or its base64, and nothing else'
              : `it signed with another key, or a digest instead of the bytes: see 'signing' in parbake.yaml`,
          code: 'signing-failed',
        },
      )
    },
  }
}

/** The key itself, or that of `<name>.pub` in the keys folder. */
function publicKeyOf(nameOrKey: string, keysDir: string): string {
  if (isPublicKey(nameOrKey)) return nameOrKey
  const file = join(keysDir, `${nameOrKey}.pub`)
  let text = ''
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch {
    // Said below.
  }
  if (isPublicKey(text)) return text
  throw new UserError(`the public key of the signing command is not known: there is no key in ${file}`, {
    hint: `put it there, one line of base64, or write it into signing.key of parbake.yaml`,
    exitCode: 2,
    code: 'no-signing-key',
  })
}

/** Raw bytes or base64, in lines or not; undefined for what is neither. */
export function parseSignature(output: Buffer): Buffer | undefined {
  if (output.length === rawLength) return output
  const text = output.toString('latin1').replaceAll(/\s+/g, '')
  const decoded = Buffer.from(text, 'base64')
  return decoded.length === rawLength && decoded.toString('base64') === text ? decoded : undefined
}

/** Its standard error is the user's: it may ask for a PIN there. */
async function callCommand(
  [program = '', ...args]: readonly string[],
  input: Uint8Array,
  signal: AbortSignal,
): Promise<Buffer> {
  const limit = AbortSignal.timeout(timeoutMs)
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    signal: AbortSignal.any([signal, limit]),
  })
  const output: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  // A command that does not read all of it may still sign: its answer decides.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const ended = await new Promise<number | string>((done) => {
    child.once('error', (error) => done(error.message))
    child.once('close', (code, killedBy) => done(code ?? `killed by ${killedBy ?? 'a signal'}`))
  })
  if (ended === 0) return Buffer.concat(output)
  if (signal.aborted) throw new InterruptedError()
  const why = limit.aborted
    ? `did not answer within ${timeoutMs / 1000} s`
    : typeof ended === 'number'
      ? `failed with exit code ${ended}`
      : `could not be run: ${ended}`
  throw new UserError(`the signing command '${program}' ${why}`, {
    hint: `nothing was published. It is 'signing.command' in parbake.yaml`,
    code: 'signing-failed',
  })
}
