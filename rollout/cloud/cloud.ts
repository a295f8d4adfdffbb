import type { CloudFacts, LimitsQuestion } from "./facts.ts";

/** A group of nodes in the cloud: an EKS managed node group with its Auto Scaling group, or an Auto Scaling group alone. */
export interface NodeGroup {
  kind: "eks-managed" | "self-managed";
  /** The name that people know: of the EKS node group, or of the Auto Scaling group. */
  name: string;
  /** The Auto Scaling group that launches the nodes; undefined while EKS has not made it yet. */
  scalingGroup: string | undefined;
  /** From the cloud tags; undefined on a group that PatchGuard did not create. */
  pool: string | undefined;
  generation: string | undefined;
  /** ACTIVE, CREATING, UPDATING, DELETING, CREATE_FAILED, DEGRADED (EKS's words; a self-managed group that exists is ACTIVE). */
  status: string;
  /** What the cloud says is wrong with it, one sentence each. */
  issues: string[];
  size: { min: number; max: number; desired: number };
  zones: string[];
  /** Suspended Auto Scaling processes. */
  suspended: string[];
  /** The template that the Auto Scaling group launches from now (for EKS: its own copy). */
  template: GroupTemplate | undefined;
  /** EKS release version of the group, where it has one. */
  releaseVersion: string | undefined;
  instances: Instance[];
  targetGroupArns: string[];
  /** Value of the ownership tag (names.ts TAG_CLOSED_BY): what the group was like before PatchGuard changed it. */
  ownership: string | undefined;
}

/** A target group of a load balancer in which instances are registered by their ids, by whomever. */
export interface TargetGroup {
  arn: string;
  name: string;
}

export interface GroupTemplate {
  id: string;
  name: string;
  /** A number in text, never `$Latest` or `$Default` on a group of PatchGuard's. */
  version: string;
  imageId: string | undefined;
}

export interface Instance {
  id: string;
  zone: string;
  /** InService, Pending, Terminating, … */
  lifecycle: string;
  /** Of the instance itself, read back through EC2. */
  imageId: string | undefined;
}

/**
 * What freeze and protect change on a group; undefined fields stay as they are. Without `desired` the number of nodes stays
 * as it is at the moment of the write, and bounds that would cut into it give way: a picture that is a moment old must not
 * terminate a node.
 */
export interface Sizes {
  min?: number;
  max?: number;
  desired?: number;
}

/** How long a write is waited for. */
export interface Waiting {
  /**
   * Ends the waiting at once, with its reason thrown; a write that has not been asked for by then is not asked any more. What the
   * cloud has accepted before, it carries out all the same.
   */
  signal?: AbortSignal | undefined;
  /** `false`: return as soon as the cloud has accepted the change, which it then finishes by itself. */
  toTheEnd?: boolean;
}

/**
 * What became of a change of sizes. `done`: as asked, or so before. `accepted`: under way, and not waited for. `left`: the group is in a
 * state (creation failed, degraded, being deleted) in which the cloud changes no sizes.
 */
export type Resized = "done" | "accepted" | "left";

/**
 * The cloud, as the rollout sees it. Real: rollout/cloud/aws.ts. Reads are cheap and batched; every write is idempotent and
 * returns when the cloud has finished it (deadline: `cloudTimeoutSeconds`), so that the next write does not meet
 * "resource in use". Errors are CloudError.
 */
export interface Cloud {
  /** All groups that carry the pool's tags on this cluster, any generation. */
  groups(pool: string): Promise<NodeGroup[]>;
  /** One group by the name that people know, whoever made it. */
  group(kind: NodeGroup["kind"], name: string): Promise<NodeGroup | undefined>;
  /** The groups that these instances belong to (for nodes that PatchGuard did not create). Instances of no group are left out. */
  groupsOf(instanceIds: string[]): Promise<NodeGroup[]>;
  /**
   * The groups without a pool's tags whose nodes carry these labels, whether they have nodes now or not: as far as the cloud knows
   * labels (EKS does; for an Auto Scaling group the autoscaler's node-template tags say them).
   */
  groupsWithLabels(labels: Record<string, string>): Promise<NodeGroup[]>;
  /**
   * All groups on this cluster that carry the ownership tag, of any pool. An Auto Scaling group that nothing ties to this cluster
   * (neither PatchGuard's tags nor `kubernetes.io/cluster/<name>`) is not among them.
   */
  closedGroups(): Promise<NodeGroup[]>;
  /** Image ids of instances, read back through the cloud. Instances that no longer exist are left out. */
  imagesOf(instanceIds: string[]): Promise<Map<string, string>>;
  resize(group: NodeGroup, sizes: Sizes, waiting?: Waiting): Promise<Resized>;
  suspend(group: NodeGroup, processes: string[], waiting?: Waiting): Promise<void>;
  resume(group: NodeGroup, processes: string[], waiting?: Waiting): Promise<void>;
  /** Sets (or with undefined removes) the ownership tag. Values use letters, digits and `+-=._:/@ ` only, at most 256 characters. */
  setOwnership(group: NodeGroup, value: string | undefined, waiting?: Waiting): Promise<void>;
  /** The target groups of the region that hold instances; those that hold addresses (type ip) are none of a node's business. */
  targetGroups(): Promise<TargetGroup[]>;
  /** How long each of these target groups keeps serving what a target that was deregistered has begun. Seconds, by ARN. */
  deregistrationDelays(targetGroupArns: string[]): Promise<Map<string, number>>;
  /** Health by instance id in each of the target groups: `healthy`, `initial`, `unhealthy`, `draining`, `unused`. */
  targetHealth(targetGroupArns: string[]): Promise<Map<string, Map<string, string>>>;
  /** What the cloud's limits are for a green that is to be made. Never throws: what could not be asked stands in `notAsked`. */
  facts(question: LimitsQuestion): Promise<CloudFacts>;
}

/** A cloud's refusal. The message names the API call, the object, the reason and what to do. */
export class CloudError extends Error {
  readonly code: string;
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "CloudError";
    this.code = code;
  }
}
