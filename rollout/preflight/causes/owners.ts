import type {
  HorizontalPodAutoscaler,
  Kinds,
  LabelSelector,
  OwnerReference,
  Pod,
  PodDisruptionBudget,
  ReplicaOwner,
} from "../../cluster/types.ts";
import { controllerOf, type Picture, type PictureKind } from "../../picture.ts";
import { byName, isTerminating } from "../../pods.ts";
import { matches } from "../../selectors.ts";

/** The controller at the top of a pod's owner chain: Pod → ReplicaSet → Deployment, Pod → StatefulSet, or a kind of an operator's own. */
export interface Owner {
  kind: string;
  namespace: string;
  name: string;
  /** How many replicas it wants; undefined where its kind is not read. */
  wanted: number | undefined;
  /** Pods of it that the budget selects, and that are not on their way out. */
  pods: Pod[];
  /** Those on their way out. */
  leaving: Pod[];
  object: ReplicaOwner | undefined;
  /** The ReplicaSets of a Deployment. */
  sets: ReplicaOwner[];
  autoscaler: HorizontalPodAutoscaler | undefined;
}

/** A picture's lists by namespace, and its pods by budget; made when they are first asked for, and good for one look. */
export class Lookups {
  private readonly picture: Picture;
  private readonly lists = new Map<PictureKind, Map<string, unknown[]>>();
  private pods: Map<PodDisruptionBudget, Pod[]> | undefined;
  private readonly crowded: Pod[] = [];

  constructor(picture: Picture) {
    this.picture = picture;
  }
  all<K extends PictureKind>(kind: K, namespace: string): readonly Kinds[K][] {
    let byNamespace = this.lists.get(kind);
    if (byNamespace === undefined) {
      byNamespace = Map.groupBy(this.picture.all(kind), ({ metadata }) => metadata.namespace ?? "");
      this.lists.set(kind, byNamespace);
    }
    return (byNamespace.get(namespace) ?? []) as Kinds[K][];
  }
  /** All pods that a budget selects, finished ones too; by name. */
  podsOf(budget: PodDisruptionBudget): Pod[] {
    return (this.byBudget().get(budget) ?? []).toSorted(byName);
  }
  /** Pods that more than one budget selects. */
  overlapped(): readonly Pod[] {
    this.byBudget();
    return this.crowded;
  }
  private byBudget(): Map<PodDisruptionBudget, Pod[]> {
    if (this.pods !== undefined) return this.pods;
    this.pods = new Map();
    for (const pod of this.picture.all("Pod")) {
      const budgets = this.picture.budgetsOf(pod);
      if (budgets.length > 1) this.crowded.push(pod);
      for (const budget of budgets) {
        const pods = this.pods.get(budget);
        if (pods === undefined) this.pods.set(budget, [pod]);
        else pods.push(pod);
      }
    }
    return this.pods;
  }
  get<K extends PictureKind>(
    kind: K,
    { name, uid }: OwnerReference,
    namespace: string,
  ): Kinds[K] | undefined {
    const object = this.picture.get(kind, name, namespace);
    return object === undefined || object.metadata.uid === uid ? object : undefined;
  }
}

const KINDS = ["Deployment", "StatefulSet", "ReplicaSet"] as const;
type OwnerKind = (typeof KINDS)[number];

/** The owners of these pods, and those whose pods the selector would select if there were any; by kind and name. */
export function ownersOf(
  lists: Lookups,
  namespace: string,
  selector: LabelSelector | undefined,
  pods: readonly Pod[],
): Owner[] {
  const owners = new Map<string, Owner>();
  const add = (kind: string, name: string, object: ReplicaOwner | undefined): Owner => {
    const key = `${kind}/${name}`;
    let owner = owners.get(key);
    if (owner === undefined) {
      const sets = kind === "ReplicaSet" ? [] : setsOf(lists, namespace, kind, name);
      owner = {
        kind,
        namespace,
        name,
        wanted: wantedBy(object, sets),
        pods: [],
        leaving: [],
        object,
        sets,
        autoscaler: autoscalerOf(lists, namespace, kind, name),
      };
      owners.set(key, owner);
    }
    return owner;
  };
  for (const kind of KINDS) {
    for (const object of lists.all(kind, namespace)) {
      if (controllerOf(object) !== undefined) continue;
      if (matches(selector, object.spec?.template?.metadata?.labels ?? NEVER))
        add(kind, object.metadata.name, object);
    }
  }
  for (const pod of pods) {
    const top = topOf(lists, namespace, pod);
    if (top === undefined) continue;
    const owner = add(top.kind, top.name, top.object);
    (isTerminating(pod) ? owner.leaving : owner.pods).push(pod);
  }
  return [...owners.values()].toSorted(
    (a, b) => a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name),
  );
}

/** Labels of a workload that does not say which its pods have: no selector but the empty one may match. */
const NEVER: Record<string, string> = {};

function topOf(
  lists: Lookups,
  namespace: string,
  pod: Pod,
): { kind: string; name: string; object: ReplicaOwner | undefined } | undefined {
  const owner = controllerOf(pod);
  if (owner === undefined) return undefined;
  if (!owner.apiVersion.startsWith("apps/")) return { kind: owner.kind, name: owner.name, object: undefined };
  const object = objectOf(lists, namespace, owner);
  const above = owner.kind === "ReplicaSet" && object !== undefined ? controllerOf(object) : undefined;
  if (above === undefined) return { kind: owner.kind, name: owner.name, object };
  return { kind: above.kind, name: above.name, object: objectOf(lists, namespace, above) };
}

function objectOf(lists: Lookups, namespace: string, owner: OwnerReference): ReplicaOwner | undefined {
  const known = KINDS.find((kind) => kind === owner.kind);
  if (known === undefined || !owner.apiVersion.startsWith("apps/")) return undefined;
  return lists.get<OwnerKind>(known, owner, namespace);
}

const setsOf = (lists: Lookups, namespace: string, kind: string, name: string): ReplicaOwner[] =>
  lists.all("ReplicaSet", namespace).filter((set) => {
    const owner = controllerOf(set);
    return owner?.kind === kind && owner.name === name;
  });

/** A Deployment that may not be read wants what its ReplicaSets want; the same holds for an Argo Rollout. */
function wantedBy(object: ReplicaOwner | undefined, sets: readonly ReplicaOwner[]): number | undefined {
  if (object !== undefined) return object.spec?.replicas ?? 1;
  if (sets.length === 0) return undefined;
  return sets.reduce((sum, set) => sum + (set.spec?.replicas ?? 1), 0);
}

const autoscalerOf = (
  lists: Lookups,
  namespace: string,
  kind: string,
  name: string,
): HorizontalPodAutoscaler | undefined =>
  lists
    .all("HorizontalPodAutoscaler", namespace)
    .find(({ spec }) => spec?.scaleTargetRef?.kind === kind && spec.scaleTargetRef.name === name);

/** Who set `spec.replicas` last. */
export interface Scaler {
  manager: string;
  /** By the scale subresource (kubectl scale, an autoscaler), or by a write of the object. */
  subresource: boolean;
  time: string | undefined;
}

/**
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management. Who changes replicas takes the field from the
 * others. The API server gives an entry of the scale subresource no time (k8s.io/apimachinery pkg/util/managedfields/scalehandler.go,
 * ToParent), so it stands before the entries that have one.
 */
export function scalerOf(object: ReplicaOwner | undefined): Scaler | undefined {
  const entries = (object?.metadata.managedFields ?? []).filter(
    ({ subresource, fieldsV1 }) => subresource === "scale" || setsReplicas(fieldsV1),
  );
  const order = (entry: (typeof entries)[number]): string => entry.time ?? "9999";
  const [last] = entries.toSorted((a, b) => order(b).localeCompare(order(a)));
  if (last === undefined) return undefined;
  return { manager: last.manager ?? "unknown", subresource: last.subresource === "scale", time: last.time };
}

function setsReplicas(fields: Record<string, unknown> | undefined): boolean {
  const spec = fields?.["f:spec"];
  return typeof spec === "object" && spec !== null && "f:replicas" in spec;
}
