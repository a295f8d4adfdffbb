import type { Pod, ReplicaOwner } from "../../rollout/cluster/types.ts";
import type { Random } from "./random.ts";
import { hasReadyCondition } from "./eviction.ts";
import type { Store } from "./store.ts";

/** How the pods of a workload behave. */
export interface Behaviour {
  /** From binding (and its volumes' attachment) to Ready. Default 2. */
  startSeconds?: number;
  /** From deletion to gone; never beyond the grace period. Default 5. */
  stopSeconds?: number;
  /** May a pod become Ready on this node? (A bad image: not on green.) */
  readyOn?: (nodeLabels: Record<string, string>) => boolean;
}

/** ReplicaSet, StatefulSet or DaemonSet as the simulation stores it: with the pods' template. */
export interface Templated extends ReplicaOwner {
  spec?: ReplicaOwner["spec"] & {
    template?: { metadata?: { labels?: Record<string, string> }; spec?: Pod["spec"] };
    claims?: string[];
  };
}

export const ownerOf = (pod: Pod): { kind: string; name: string; uid: string } | undefined =>
  pod.metadata.ownerReferences?.find(({ controller }) => controller);
export const isFinished = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
export const isGoing = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;
export const isServing = (pod: Pod): boolean => !isGoing(pod) && hasReadyCondition(pod);

type Owning = "ReplicaSet" | "StatefulSet" | "DaemonSet";

/** ReplicaSet, StatefulSet and DaemonSet controllers: each looks at a workload a lag after a change that concerns it. */
export function startWorkloadControllers(store: Store, lag: () => number, random: Random): void {
  const due = new Set<string>();
  const enqueue = (kind: Owning, name: string, namespace: string | undefined): void => {
    const key = `${kind}/${namespace ?? ""}/${name}`;
    if (due.has(key)) return;
    due.add(key);
    store.clock.after(lag(), `controller of ${key}`, () => {
      due.delete(key);
      const owner = store.get(kind, name, namespace);
      if (owner === undefined || owner.metadata.deletionTimestamp !== undefined) return;
      if (kind === "ReplicaSet") syncReplicaSet(store, owner, random);
      else if (kind === "StatefulSet") syncStatefulSet(store, owner);
      else syncDaemonSet(store, owner, random);
    });
  };
  store.onChange(({ kind, object, type }) => {
    if (kind === "ReplicaSet" || kind === "StatefulSet" || kind === "DaemonSet") {
      enqueue(kind, object.metadata.name, object.metadata.namespace);
    } else if (kind === "Pod") {
      const owner = ownerOf(object as Pod);
      if (owner !== undefined && ["ReplicaSet", "StatefulSet", "DaemonSet"].includes(owner.kind)) {
        enqueue(owner.kind as Owning, owner.name, object.metadata.namespace);
      }
    } else if (kind === "Node" && type !== "MODIFIED") {
      for (const { metadata } of store.all("DaemonSet"))
        enqueue("DaemonSet", metadata.name, metadata.namespace);
    }
  });
}

const podsOf = (store: Store, owner: Templated): Pod[] =>
  store.all("Pod").filter((pod) => ownerOf(pod)?.uid === owner.metadata.uid);

function makePod(store: Store, kind: Owning, owner: Templated, name: string, spec: Pod["spec"]): void {
  const { labels = {} } = owner.spec?.template?.metadata ?? {};
  store.create(
    "Pod",
    {
      metadata: {
        name,
        namespace: owner.metadata.namespace ?? "default",
        labels: { ...labels },
        ownerReferences: [
          {
            apiVersion: "apps/v1",
            kind,
            name: owner.metadata.name,
            uid: owner.metadata.uid,
            controller: true,
          },
        ],
      },
      spec: { terminationGracePeriodSeconds: 30, ...structuredClone(spec) },
      status: { phase: "Pending", conditions: [] },
    },
    `${kind.toLowerCase()}-controller`,
  );
}

function report(store: Store, kind: "ReplicaSet" | "StatefulSet", owner: Templated, pods: Pod[]): void {
  const alive = pods.filter((pod) => !isGoing(pod) && !isFinished(pod));
  store.update(
    kind,
    owner,
    (draft) =>
      (draft.status = {
        replicas: alive.length,
        readyReplicas: alive.filter(isServing).length,
        observedGeneration: draft.metadata.generation ?? 1,
      }),
    `${kind.toLowerCase()}-controller`,
  );
}

/** A terminating pod does not count: its replacement is made at once. */
function syncReplicaSet(store: Store, owner: Templated, random: Random): void {
  const pods = podsOf(store, owner);
  const alive = pods.filter((pod) => !isGoing(pod) && !isFinished(pod));
  const wanted = owner.spec?.replicas ?? 1;
  for (let i = alive.length; i < wanted; i++) {
    makePod(
      store,
      "ReplicaSet",
      owner,
      `${owner.metadata.name}-${suffix(store, random)}`,
      owner.spec?.template?.spec,
    );
  }
  // scaling down: pods that are not Ready first
  const surplus = alive
    .toSorted((a, b) => Number(isServing(a)) - Number(isServing(b)))
    .slice(0, Math.max(0, alive.length - wanted));
  for (const pod of surplus) store.remove("Pod", pod, "replicaset-controller");
  report(store, "ReplicaSet", owner, podsOf(store, owner));
}

/** OrderedReady: from the first upwards, one at a time, the next only when the one before is Ready; a name is free when its pod is gone. */
function syncStatefulSet(store: Store, owner: Templated): void {
  const { name, namespace } = owner.metadata;
  const first = owner.spec?.ordinals?.start ?? 0;
  const end = first + (owner.spec?.replicas ?? 1);
  const pods = podsOf(store, owner);
  for (let i = first; i < end; i++) {
    const pod = pods.find(({ metadata }) => metadata.name === `${name}-${i}`);
    if (pod === undefined) {
      const claims = (owner.spec?.claims ?? []).map((claim) => ({
        name: claim,
        persistentVolumeClaim: { claimName: `${claim}-${name}-${i}` },
      }));
      if (store.get("Pod", `${name}-${i}`, namespace)) break; // somebody else's pod of that name
      makePod(store, "StatefulSet", owner, `${name}-${i}`, {
        ...owner.spec?.template?.spec,
        ...(claims.length > 0 && { volumes: claims }),
      });
      break;
    }
    if (isFinished(pod) && !isGoing(pod)) {
      store.remove("Pod", pod, "statefulset-controller");
      break;
    }
    if (isGoing(pod) || !isServing(pod)) break;
  }
  const surplus = pods.filter(
    ({ metadata }) =>
      Number(metadata.name.slice(name.length + 1)) >= end && metadata.deletionTimestamp === undefined,
  );
  for (const pod of surplus.slice(-1)) store.remove("Pod", pod, "statefulset-controller");
  report(store, "StatefulSet", owner, podsOf(store, owner));
}

/** One pod per node. Daemon pods tolerate what Kubernetes adds by itself; the tests' daemons tolerate everything else too. */
function syncDaemonSet(store: Store, owner: Templated, random: Random): void {
  const pods = podsOf(store, owner);
  const nodes = store.all("Node");
  for (const { metadata } of nodes) {
    if (
      pods.some(
        (pod) =>
          pod.spec?.nodeName === metadata.name ||
          pod.spec?.nodeSelector?.["kubernetes.io/hostname"] === metadata.name,
      )
    )
      continue;
    makePod(store, "DaemonSet", owner, `${owner.metadata.name}-${suffix(store, random)}`, {
      ...owner.spec?.template?.spec,
      tolerations: [{ operator: "Exists" }],
      nodeSelector: { "kubernetes.io/hostname": metadata.name },
    });
  }
  const current = podsOf(store, owner);
  store.update(
    "DaemonSet",
    owner,
    (draft) =>
      (draft.status = {
        desiredNumberScheduled: nodes.length,
        numberReady: current.filter(isServing).length,
      }),
    "daemonset-controller",
  );
}

function suffix(store: Store, random: Random): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  for (;;) {
    const text = Array.from({ length: 5 }, () => random.pick([...letters])).join("");
    if (!store.all("Pod").some(({ metadata }) => metadata.name.endsWith(`-${text}`))) return text;
  }
}
