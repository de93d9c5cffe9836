import { generateKeyPairSync, sign } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verifyChannel } from '../../src/bundle/channel.ts'
import { publishRecipe } from '../../src/bundle/publish.ts'
import { commandSigner, parseSignature } from '../../src/keys/command-signer.ts'
import { encodePublicKey } from '../../src/keys/public-key.ts'
import { getBytes } from '../../src/store/object-store.ts'
import { failure, recipeOf, rig } from '../rollout/support.ts'
import { tempDir } from '../../src/system/temp.ts'
import { hardwareKey } from '../support/hardware-key.ts'

const signal = new AbortController().signal

describe('a signing command', () => {
  it.each(['script', 'base64'] as const)('signs channels that hosts take, its answer as %s', async (form) => {
    await using test = await rig()
    const key = await hardwareKey(test.path)
    const signing = { command: [key[form]], key: key.publicKey }
    const ctx = test.configured({ signing })
    await publishRecipe(recipeOf('a'), ctx)
    const text = (await getBytes(test.store, 'channels/web/stable'))?.toString() ?? ''
    // Both signatures, the one for ssh-keygen too.
    expect(verifyChannel(text, [key.publicKey])).toMatchObject({ serial: 1, signature: { key: key.publicKey } })
  })

  it('finds its public key by name', async () => {
    await using dir = await tempDir('signer')
    const key = await hardwareKey(dir.path)
    await writeFile(join(dir.path, 'hsm.pub'), `${key.publicKey}\n`)
    const signer = commandSigner({ command: [key.script], key: 'hsm' }, dir.path, signal)
    const message = Buffer.from('what is signed\n\0')
    expect(await signer.sign(message)).toEqual(sign(null, message, key.privateKey))
    expect(() => commandSigner({ command: ['x'], key: 'none' }, dir.path, signal)).toThrow(/not known/)
  })

  it.each<[string, readonly string[], RegExp]>([
    ['prints something else', ['echo', 'PIN wrong'], /did not return a signature/],
    ['prints nothing', ['true'], /did not return a signature/],
    ['prints a signature of something else', ['head', '-c', '64', '/dev/zero'], /did not return a signature/],
    ['fails', ['sh', '-c', 'exit 3'], /failed with exit code 3/],
    ['is killed', ['sh', '-c', 'kill -9 $$'], /killed by SIGKILL/],
    ['is not there', ['/nowhere/hsm-sign'], /could not be run/],
    ['does not read', ['sh', '-c', 'exec <&-; exit 0'], /did not return a signature/],
  ])('that %s publishes nothing', async (_name, command, message) => {
    await using test = await rig()
    const key = generateKeyPairSync('ed25519')
    const ctx = test.configured({ signing: { command, key: encodePublicKey(key.privateKey) } })
    const error = await failure(publishRecipe(recipeOf('a'), ctx))
    expect(error).toMatchObject({ code: 'signing-failed' })
    expect(error.message).toMatch(message)
    expect(await test.store.head('channels/web/stable')).toBeUndefined()
  })

  it('answers in one of two forms', () => {
    const raw = Buffer.from(Array.from({ length: 64 }, (_, index) => index))
    expect(parseSignature(raw)).toEqual(raw)
    expect(parseSignature(Buffer.from(`${raw.toString('base64')}\n`))).toEqual(raw)
    // As base64 of coreutils breaks it.
    expect(parseSignature(Buffer.from(raw.toString('base64').replace(/^.{76}/, '$&\n')))).toEqual(raw)
    expect(parseSignature(Buffer.from(raw.toString('hex')))).toBeUndefined()
    expect(parseSignature(raw.subarray(1))).toBeUndefined()
  })
})
