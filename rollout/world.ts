import { createAwsCloud } from "./cloud/aws.ts";
import type { Cloud } from "./cloud/cloud.ts";
import { createCluster } from "./cluster/client.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { explain } from "./cluster/explain.ts";
import { connect } from "./cluster/kubeconfig.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ClusterConfig } from "./config/index.ts";
import { DEFAULTS } from "./names.ts";
import { RequestCounts } from "./observed/requests.ts";
import { USER_AGENT } from "./version.ts";

/** Where a cluster is: references only, never credentials (it stands in Pulumi's state). */
export type ClusterRef =
  | {
      kind: "eks";
      name: string;
      region: string;
      kubeconfig?: string | undefined;
      context?: string | undefined;
    }
  | {
      kind: "kubernetes" | "aks";
      name: string;
      region: string;
      kubeconfig?: string | undefined;
      context: string;
    };

/** The reference in a stack's cluster config, without what only its creation needs. */
export function clusterRef(config: ClusterConfig): ClusterRef {
  const { name, region, kubeconfig } = config;
  return config.kind === "eks"
    ? { kind: "eks", name, region, kubeconfig, context: config.context }
    : { kind: config.kind, name, region, kubeconfig, context: config.context };
}

export interface World {
  cluster: Cluster;
  cloud: Cloud;
  clock: Clock;
  /** What was asked of both so far. */
  requests: RequestCounts;
}

/** Deadline of one change in the cloud (EKS takes minutes to change a group's sizes). */
const CLOUD_TIMEOUT_SECONDS = 900;

/**
 * Connects to the cluster and its cloud.
 * @param requestTimeoutSeconds deadline of one request to the API server, with its retries
 * @throws Error with one line that says what is wrong with the access
 */
export async function openWorld(
  ref: ClusterRef,
  requestTimeoutSeconds: number = DEFAULTS.requestTimeoutSeconds,
): Promise<World> {
  try {
    const requests = new RequestCounts();
    const config = await connect(ref);
    const cluster = createCluster(config, {
      requestTimeoutSeconds,
      userAgent: USER_AGENT,
      clock: systemClock,
      onRequest: (method, path) => requests.toKubernetes(method, path),
    });
    const cloud = createAwsCloud({
      region: ref.region,
      clusterName: ref.name,
      clock: systemClock,
      cloudTimeoutSeconds: CLOUD_TIMEOUT_SECONDS,
      onRequest: (service, action) => requests.toCloud(service, action),
    });
    return { cluster, cloud, clock: systemClock, requests };
  } catch (error) {
    throw new Error(explain(error), { cause: error });
  }
}
