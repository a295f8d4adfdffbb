import { z } from "zod";
import { flag, kubernetesVersion, nonEmpty, wholeNumber } from "./fields.ts";
import { common, image, size } from "./pool-common.ts";

/**
 * `patchguard:pools[]` of the kind `aks`. The schema stands so that stacks can be written; the component comes with a later
 * issue, and until then such a pool is refused by path (see checks.ts).
 */
export const aksPool = z.strictObject({
  kind: z.literal("aks"),
  ...common,
  image,
  /** Kubernetes version of the agent pool. Default: the control plane's. */
  kubernetesVersion: kubernetesVersion().optional(),
  /** VM size of the nodes. */
  vmSize: z
    .string()
    .regex(/^Standard_[A-Za-z0-9_]+$/, { error: () => "must be a VM size such as Standard_D4s_v5" }),
  /** Default: Regular. */
  priority: z.enum(["Regular", "Spot"], { error: () => "must be Regular or Spot" }).default("Regular"),
  /** System pools run the cluster's own pods. Default: User. */
  mode: z.enum(["System", "User"], { error: () => "must be System or User" }).default("User"),
  /** Zone to the id of a subnet; one agent pool is made for each. */
  zones: z.record(
    z.string().regex(/^[123]$/, { error: () => 'is not an Azure zone: "1", "2" or "3"' }),
    nonEmpty("the resource id of a subnet"),
    { error: () => "must be a map from zone to subnet id" },
  ),
  /** Nodes per zone. */
  size,
  osDiskSizeGiB: wholeNumber(30, 2048, "a disk size in GiB").default(128),
  /** Default: Managed. */
  osDiskType: z.enum(["Managed", "Ephemeral"]).default("Managed"),
  /** Default: Ubuntu. */
  osSku: z.enum(["Ubuntu", "AzureLinux"]).default("Ubuntu"),
  encryptionAtHost: flag().default(true),
  maxPods: wholeNumber(10, 250, "a number of pods").optional(),
  /** Azure tags. */
  tags: z.record(z.string().min(1).max(512), z.string().max(256)).default({}),
});

export type AksPoolConfig = z.output<typeof aksPool>;
