import { createHash } from 'node:crypto'

const magic = Buffer.from('SSHSIG', 'ascii')
const namespace = 'parbake'
const hashAlgorithm = 'sha512'
const keyType = 'ssh-ed25519'

/** A length-prefixed string of the SSH wire format. */
function wireString(value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** The 32 raw bytes at the end of an Ed25519 public key's 44-byte SPKI DER form. */
function rawPublicKey(publicKeyBase64: string): Buffer {
  return Buffer.from(publicKeyBase64, 'base64').subarray(-32)
}

function sshPublicKeyBlob(publicKeyBase64: string): Buffer {
  return Buffer.concat([wireString(keyType), wireString(rawPublicKey(publicKeyBase64))])
}

/** The `ssh-ed25519 AAAA…` form of a key given as base64 SPKI DER, as `ssh-keygen` and allowed-signers files take it. */
export function sshPublicKey(publicKeyBase64: string): string {
  return `${keyType} ${sshPublicKeyBlob(publicKeyBase64).toString('base64')}`
}

/** What an SSHSIG signature in namespace `parbake` signs in place of the message itself. */
export function sshSignedData(message: string): Buffer {
  return Buffer.concat([
    magic,
    wireString(namespace),
    wireString(''),
    wireString(hashAlgorithm),
    wireString(createHash(hashAlgorithm).update(message).digest()),
  ])
}

/**
 * The SSHSIG blob around a raw Ed25519 signature of `sshSignedData`, as `ssh-keygen -Y sign -n parbake` makes it (OpenSSH's
 * PROTOCOL.sshsig). For hosts that have ssh-keygen but no OpenSSL 3.
 */
export function sshSignatureBlob(publicKeyBase64: string, rawSignature: Buffer): Buffer {
  const version = Buffer.from([0, 0, 0, 1])
  return Buffer.concat([
    magic,
    version,
    wireString(sshPublicKeyBlob(publicKeyBase64)),
    wireString(namespace),
    wireString(''),
    wireString(hashAlgorithm),
    wireString(Buffer.concat([wireString(keyType), wireString(rawSignature)])),
  ])
}
