/**
 * The watcher's own copies of the few names it needs. It judges the product, so it does not share the product's
 * module: a name that changes there by mistake must be noticed here.
 */

/** Prefix of every label, annotation and taint that PatchGuard owns. */
export const OUR_PREFIX = "patchguard.dev/";
export const LABEL_POOL = "patchguard.dev/pool";
export const LABEL_GENERATION = "patchguard.dev/generation";
export const TAINT_HANDOVER = "patchguard.dev/handover";
export const ANNOTATION_CLOSED_BY = "patchguard.dev/closed-by";
export const LABEL_EXCLUDE_LB = "node.kubernetes.io/exclude-from-external-load-balancers";
export const ANNOTATION_SCALE_DOWN_DISABLED = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
export const STATE_NAMESPACE = "kube-system";
export const LEASE_NAME = "patchguard";
export const RUN_STATE_PREFIX = "patchguard-";
/** PatchGuard's user agent starts with this, in every process it runs. */
export const PRODUCT_AGENT = "patchguard";
/** User agent of the sandbox's cloud: its disruptions stand for EKS deleting or rolling a node group. */
export const CLOUD_AGENT = "sandbox-machine-room";
/** User agent of the tests' own requests. */
export const TEST_AGENT = "watcher-test";
