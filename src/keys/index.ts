export { listKeys, loadSigningKey, loadTrustedKeys, signingKeyVariable, type KeyEntry } from './files.ts'
export { ensureKeys, initKeys, type NewKey } from './init.ts'
