export { cloudConfig, CloudConfigBuilder, type FileSpec } from './builder.ts'
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
  type CloudMount,
  type CloudPackage,
  type CloudUser,
  type SshKeyType,
} from './document.ts'
