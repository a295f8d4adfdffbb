import type { Kind, Kinds, OwnerReference, Pod, PodDisruptionBudget } from "./cluster/types.ts";
import { matches } from "./selectors.ts";

/** What moves and what limits it: followed live during a handover, and without it nothing can be judged. */
export const CORE_KINDS = [
  "Node",
  "Pod",
  "PodDisruptionBudget",
  "ReplicaSet",
  "StatefulSet",
  "DaemonSet",
  "PersistentVolumeClaim",
  "PersistentVolume",
  "VolumeAttachment",
  "CSIDriver",
] as const satisfies Kind[];
export type CoreKind = (typeof CORE_KINDS)[number];

/** What explains: pre-flight says why and by whom from these. One that cannot be read makes fewer findings, and is named. */
export const CONTEXT_KINDS = [
  "Deployment",
  "HorizontalPodAutoscaler",
  "CronJob",
  "Namespace",
  "StorageClass",
  "CSINode",
  "ValidatingWebhookConfiguration",
  "MutatingWebhookConfiguration",
  "NodePool",
  "VerticalPodAutoscaler",
] as const satisfies Kind[];
export type ContextKind = (typeof CONTEXT_KINDS)[number];

export type PictureKind = CoreKind | ContextKind;

/** A kind that could not be read. */
export interface Unread {
  kind: PictureKind;
  /** `missing`: the API server does not know the kind (its CRD is not installed). `forbidden`: it does, and we may not list it. */
  reason: "missing" | "forbidden";
  /** The server's words. */
  message: string;
}

/**
 * The cluster, as findings, fit and plan see it. Live in a handover (inventory.ts), or as of one moment (snapshot.ts). Lists come in
 * no particular order; nothing here may be changed.
 */
export interface Picture {
  all<K extends PictureKind>(kind: K): readonly Kinds[K][];
  get<K extends PictureKind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined;
  podsOn(node: string): readonly Pod[];
  /** Pods whose controller has this UID. */
  podsOf(controllerUid: string): readonly Pod[];
  /** All pods of a namespace. */
  podsIn(namespace: string): readonly Pod[];
  budgetsOf(pod: Pod): readonly PodDisruptionBudget[];
  /** Kinds that this picture lacks. */
  readonly unread: readonly Unread[];
  /** The API server's version (`v1.34.1-eks-…`); undefined where it did not say. */
  readonly serverVersion?: string | undefined;
}

/** The owner that manages an object (`controller: true`), if any. */
export const controllerOf = (object: {
  metadata: { ownerReferences?: OwnerReference[] };
}): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find(({ controller }) => controller === true);

const keyOf = (name: string, namespace: string | undefined): string => `${namespace ?? ""}/${name}`;

/** Pods by node, controller and namespace; made on demand, and anew after `forget`. */
export class PodIndex {
  private readonly pods: () => readonly Pod[];
  private byNode: Map<string, Pod[]> | undefined;
  private byController: Map<string, Pod[]> | undefined;
  private byNamespace: Map<string, Pod[]> | undefined;

  constructor(pods: () => readonly Pod[]) {
    this.pods = pods;
  }
  on(node: string): Pod[] {
    this.byNode ??= Map.groupBy(this.pods(), (pod) => pod.spec?.nodeName ?? "");
    return this.byNode.get(node) ?? [];
  }
  of(controllerUid: string): Pod[] {
    this.byController ??= Map.groupBy(this.pods(), (pod) => controllerOf(pod)?.uid ?? "");
    return this.byController.get(controllerUid) ?? [];
  }
  in(namespace: string): Pod[] {
    this.byNamespace ??= Map.groupBy(this.pods(), (pod) => pod.metadata.namespace ?? "");
    return this.byNamespace.get(namespace) ?? [];
  }
  forget(): void {
    this.byNode = this.byController = this.byNamespace = undefined;
  }
}

/**
 * Budgets by namespace and, where the selector names a label's value, by that value: with thousands of budgets a pod is compared with
 * the few that can select it.
 */
export class BudgetIndex {
  private readonly budgets: () => readonly PodDisruptionBudget[];
  private index: Map<string, PodDisruptionBudget[]> | undefined;

  constructor(budgets: () => readonly PodDisruptionBudget[]) {
    this.budgets = budgets;
  }
  of(pod: Pod): PodDisruptionBudget[] {
    this.index ??= Map.groupBy(this.budgets(), slotOf);
    const { namespace = "", labels = {} } = pod.metadata;
    const slots = [namespace, ...Object.entries(labels).map(([key, value]) => slot(namespace, key, value))];
    return slots
      .flatMap((name) => this.index?.get(name) ?? [])
      .filter(({ spec }) => matches(spec?.selector, labels));
  }
  forget(): void {
    this.index = undefined;
  }
}

const slot = (namespace: string, key: string, value: string): string => `${namespace} ${key}=${value}`;

function slotOf({ metadata: { namespace = "" }, spec }: PodDisruptionBudget): string {
  const [first] = Object.entries(spec?.selector?.matchLabels ?? {});
  return first === undefined ? namespace : slot(namespace, ...first);
}

/** Objects by kind, as of one moment; also what a test or a benchmark makes up. */
export class FixedPicture implements Picture {
  readonly unread: readonly Unread[];
  readonly serverVersion: string | undefined;
  private readonly lists: Partial<{ [K in PictureKind]: readonly Kinds[K][] }>;
  private readonly names = new Map<PictureKind, Map<string, unknown>>();
  private readonly pods = new PodIndex(() => this.all("Pod"));
  private readonly budgets = new BudgetIndex(() => this.all("PodDisruptionBudget"));

  constructor(
    lists: Partial<{ [K in PictureKind]: readonly Kinds[K][] }>,
    unread: readonly Unread[] = [],
    serverVersion?: string,
  ) {
    this.lists = lists;
    this.unread = unread;
    this.serverVersion = serverVersion;
  }
  all<K extends PictureKind>(kind: K): readonly Kinds[K][] {
    return this.lists[kind] ?? [];
  }
  get<K extends PictureKind>(kind: K, name: string, namespace?: string): Kinds[K] | undefined {
    let names = this.names.get(kind);
    if (names === undefined) {
      names = new Map(
        this.all(kind).map((object) => [keyOf(object.metadata.name, object.metadata.namespace), object]),
      );
      this.names.set(kind, names);
    }
    return names.get(keyOf(name, namespace)) as Kinds[K] | undefined;
  }
  podsOn(node: string): readonly Pod[] {
    return this.pods.on(node);
  }
  podsOf(controllerUid: string): readonly Pod[] {
    return this.pods.of(controllerUid);
  }
  podsIn(namespace: string): readonly Pod[] {
    return this.pods.in(namespace);
  }
  budgetsOf(pod: Pod): readonly PodDisruptionBudget[] {
    return this.budgets.of(pod);
  }
}
