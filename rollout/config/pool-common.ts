import { z } from "zod";
import { dnsLabel, labelKey, labelMap, labelValue, nonEmpty, pinned, wholeNumber } from "./fields.ts";
import { unpinned } from "./image.ts";
import type { ImagePin } from "../target.ts";

/** What pools of every kind have. */

/** Room for `<pool>-<generation>-<zone>` in the 63 characters of an EKS group's name, with the longest zone names of today. */
export const POOL_NAME_LENGTH = 32;

const taint = z.strictObject({
  key: labelKey(),
  /** Default: empty. */
  value: labelValue().default(""),
  effect: z.enum(["NoSchedule", "PreferNoSchedule", "NoExecute"], {
    error: () => "must be NoSchedule, PreferNoSchedule or NoExecute",
  }),
});

export type Taint = z.output<typeof taint>;

export const common = {
  /** The pool's name: label value, part of every group's name. Unique in the stack. */
  name: dnsLabel(POOL_NAME_LENGTH),
  /** Changing this text does nothing but force a new generation, hence a handover. Default: none. */
  revision: nonEmpty("any text").optional(),
  /** Node labels beside patchguard.dev/pool and patchguard.dev/generation. */
  labels: labelMap().default({}),
  /** Node taints. */
  taints: z
    .array(taint)
    .max(50, { error: () => "must be at most 50 taints" })
    .default([]),
  /** Nodes that PatchGuard did not create and from which this pool takes over. Default: none. */
  adopt: z.strictObject({ matchLabels: labelMap() }).optional(),
};

/** Nodes per zone. */
export const size = z.strictObject({
  min: wholeNumber(0, 10_000, "a number of nodes per zone"),
  max: wholeNumber(1, 10_000, "a number of nodes per zone"),
  /** Left out = an autoscaler owns the size; green is then made as large as blue is. */
  desired: wholeNumber(0, 10_000, "a number of nodes per zone").optional(),
});

export type Size = z.output<typeof size>;

/**
 * The pin. Which of the four fits is a matter of the pool's kind; that exactly one is there is checked across fields, so that
 * the error can say which.
 */
export const image = z
  .strictObject(
    {
      /** AMI id (EKS managed and self-managed). */
      ami: pinned(/^ami-[0-9a-f]{8,17}$/, "an AMI id (ami- and 8 or 17 hex digits)").optional(),
      /** Release of an EKS-optimized image, as in EKS's own change log (EKS managed). */
      releaseVersion: pinned(
        /^\d+\.\d+(\.\d+)?-[0-9A-Za-z.]+$/,
        "an EKS release version (1.34.1-20261015, Bottlerocket: 1.49.0-713f44ce)",
      ).optional(),
      /** Resource id of an AKS node pool snapshot (AKS). */
      snapshot: pinned(
        /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.ContainerService\/snapshots\/[^/]+$/i,
        "the resource id of an AKS snapshot",
      ).optional(),
      /** The image that AKS is expected to choose (AKS); anything else is refused before a node is made. */
      nodeImageVersion: pinned(
        /^AKS\w+-[\w.]+-\d{6}\.\d{1,2}\.\d+$/,
        "an AKS node image version (AKSUbuntu-2204gen2containerd-202610.15.0)",
      ).optional(),
    },
    {
      error: (issue) => {
        if (issue.code !== "invalid_type") return undefined;
        const reason = typeof issue.input === "string" ? unpinned(issue.input) : undefined;
        return reason ?? "must be a map with one of ami, releaseVersion, snapshot, nodeImageVersion";
      },
    },
  )
  // that exactly one key is there is checked in checks.ts, before anybody sees the value
  .transform((pin) => pin as ImagePin);

/** A value of `kubelet` or Bottlerocket settings: whatever YAML can say, passed on as it is. */
export const freeForm: z.ZodType<FreeForm> = z.lazy(() =>
  z.union([z.string(), z.number(), z.boolean(), z.array(freeForm), z.record(z.string(), freeForm)]),
);
export type FreeForm = string | number | boolean | FreeForm[] | { [key: string]: FreeForm };

const al2023 = z.strictObject({
  family: z.literal("al2023"),
  /** KubeletConfiguration fields for nodeadm's NodeConfig (spec.kubelet.config). */
  kubelet: z.record(z.string(), freeForm).default({}),
  /** More kubelet flags (spec.kubelet.flags); --node-labels and --register-with-taints are PatchGuard's. */
  kubeletFlags: z.array(nonEmpty("a kubelet flag")).default([]),
  /** containerd configuration, TOML (spec.containerd.config). */
  containerd: nonEmpty("containerd configuration").optional(),
  /** NVMe instance stores (spec.instance.localStorage.strategy). */
  localStorage: z.enum(["RAID0", "RAID10", "Mount"]).optional(),
  /** Shell script for cloud-init, a part of its own; the kubelet starts after it. */
  script: nonEmpty("a shell script").optional(),
});

const bottlerocket = z.strictObject({
  family: z.literal("bottlerocket"),
  /** Bottlerocket settings, without the leading `settings.`; what joins the node to the cluster, labels and taints are PatchGuard's. */
  settings: z.record(z.string(), freeForm).default({}),
});

const custom = z.strictObject({
  family: z.literal("custom"),
  /** User data, passed on as it is but for the placeholders of docs/configuration.md (`{{labels}}` and so on). */
  text: nonEmpty("the user data"),
});

export const USER_DATA_FAMILIES = ["al2023", "bottlerocket", "custom"] as const;

export const userData = z.discriminatedUnion("family", [al2023, bottlerocket, custom], {
  error: (issue) =>
    issue.code === "invalid_union"
      ? `must be one of ${USER_DATA_FAMILIES.join(", ")}`
      : "must be a map with a family",
});

export type UserData = z.output<typeof userData>;
export type Al2023UserData = z.output<typeof al2023>;
export type BottlerocketUserData = z.output<typeof bottlerocket>;
