export { cloudConfig, CloudConfigBuilder, type FileSpec, type MountSpec, type RenderOptions } from './builder.ts'
export {
  cloudConfigKeys,
  isCloudConfigKey,
  type Apt,
  type AptMirror,
  type AptSource,
  type CloudCommand,
  type CloudConfigDocument,
  type CloudConfigKey,
  type CloudFile,
  type CloudGroup,
  type CloudMount,
  type CloudPackage,
  type CloudUser,
  type SshKeyType,
} from './document.ts'
export { cloudInitVersion } from './generated-keys.ts'
export { gzipReproducible as gzip } from './gzip.ts'
export type { MergeRules } from './merge.ts'
export {
  appendingMergeType,
  include,
  includeOnce,
  multipart,
  type PartKind,
  type UserDataPartSpec,
} from './multipart.ts'
