export { buildBase, type BuildBaseOptions } from './build.ts'
export { findBase, listBases } from './cache.ts'
export { importBase, type ImportBaseOptions } from './import.ts'
export type { Base } from './model.ts'
