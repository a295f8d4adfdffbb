/** The stack's config: `patchguard:cluster`, `patchguard:pools`, `patchguard:rollout`, `patchguard:destroy`. Command lines read it through ./stack-file.ts. */
export type { ClusterConfig, ClusterCreation, EksClusterConfig, NodeRoleConfig } from "./cluster.ts";
export type { DestroyConfig } from "./destroy.ts";
export { ConfigError, type Problem } from "./error.ts";
export { loadConfig, type Config, type RawConfig } from "./load.ts";
export type { PoolConfig, PoolKind } from "./pool.ts";
export type { AksPoolConfig } from "./pool-aks.ts";
export type { AwsPoolConfig, Disk, EksManagedPoolConfig, SelfManagedPoolConfig } from "./pool-aws.ts";
export type { Al2023UserData, BottlerocketUserData, FreeForm, Size, Taint, UserData } from "./pool-common.ts";
export type { RolloutConfig } from "./rollout.ts";
