export { makeUserData, type MakeUserDataInput, type UserDataOverrides } from './make.ts'
export {
  agentConfPath,
  renderUserData,
  stage0Path,
  type UserData,
  type UserDataFormat,
  type UserDataInput,
  type UserDataPart,
} from './render.ts'
export { isTargetName, targetNames, userDataTargets, type TargetName, type UserDataTarget } from './targets.ts'
