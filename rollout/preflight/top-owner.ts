import type { LabelSelector, Pod, ReplicaOwner } from "../cluster/types.ts";
import type { ObjectRef } from "../finding.ts";
import { controllerOf, type Picture } from "../picture.ts";
import { isFinished, isTerminating } from "../pods.ts";

/** What people call a pod's workload: the Deployment above a ReplicaSet, a StatefulSet, or an operator's own kind. */
export interface TopOwner extends ObjectRef {
  /** `apps/v1` */
  apiVersion: string;
  /** How many replicas it wants; of a kind that is not read: how many pods its controllers have. */
  wanted: number;
  /** Of its pods, where its kind is read. */
  selector: LabelSelector | undefined;
  /** Those of the pods in question that it owns. */
  pods: Pod[];
}

/** The workloads of these pods, each once, in the order of the pods. Pods without a controller have none. */
export function topOwners(picture: Picture, pods: readonly Pod[]): TopOwner[] {
  const owners = new Map<string, TopOwner & { counted: Set<string> }>();
  for (const pod of pods) {
    const owner = controllerOf(pod);
    if (owner === undefined) continue;
    const namespace = pod.metadata.namespace ?? "default";
    const below = known(picture, owner.kind, owner.apiVersion, owner.name, namespace);
    const above = owner.kind === "ReplicaSet" && below !== undefined ? controllerOf(below) : undefined;
    const { kind, apiVersion, name, uid } = above ?? owner;
    const object = above === undefined ? below : known(picture, kind, apiVersion, name, namespace);
    const key = `${apiVersion}/${kind}/${namespace}/${name}`;
    let top = owners.get(key);
    if (top === undefined) {
      const selector = object?.spec?.selector;
      const wanted = object === undefined ? 0 : (object.spec?.replicas ?? 1);
      top = { kind, namespace, name, uid, apiVersion, wanted, selector, pods: [], counted: new Set() };
      owners.set(key, top);
    }
    top.pods.push(pod);
    if (object !== undefined || top.counted.has(owner.uid)) continue;
    // the sets of an Argo Rollout, say: each wants its part of the replicas
    top.counted.add(owner.uid);
    top.wanted += below?.spec?.replicas ?? livePods(picture, owner.uid);
  }
  return [...owners.values()];
}

function known(
  picture: Picture,
  kind: string,
  apiVersion: string,
  name: string,
  namespace: string,
): ReplicaOwner | undefined {
  // another API group's StatefulSet (OpenKruise has one) is not the one that apps/v1 would show
  if (!apiVersion.startsWith("apps/")) return undefined;
  if (kind !== "Deployment" && kind !== "StatefulSet" && kind !== "ReplicaSet") return undefined;
  return picture.get(kind, name, namespace);
}

const livePods = (picture: Picture, controllerUid: string): number =>
  picture.podsOf(controllerUid).filter((pod) => !isTerminating(pod) && !isFinished(pod)).length;
