import { createPublicKey, type KeyObject } from 'node:crypto'

/** Base64 of the 44-byte SPKI DER form: one line, as `.pub` files, agent.conf and channels hold it. */
export function encodePublicKey(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64')
}

/** True for the base64 SPKI DER form of an Ed25519 public key, in the one spelling that we write. */
export function isPublicKey(text: string): boolean {
  const der = Buffer.from(text, 'base64')
  // 302a300506032b6570032100 is what RFC 8410 puts before the 32 bytes of every Ed25519 key.
  return (
    der.length === 44 && der.toString('base64') === text && der.toString('hex').startsWith('302a300506032b6570032100')
  )
}
