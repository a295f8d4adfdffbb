import { Interrupted } from "../../rollout/errors.ts";
import type { Node, Pod } from "../../rollout/cluster/types.ts";
import { evict } from "./eviction.ts";
import { BLUE, GREEN } from "./handovers.ts";
import type { Act } from "./random-handover.ts";
import type { Faults } from "./session.ts";
import { isGoing, isServing } from "./workloads.ts";
import type { Client, World } from "./world.ts";

/** Who does what PatchGuard has not done. */
export const MEDDLER = "somebody";

/** Another stack's run, as a holder of the Lease. */
export const RIVAL = "other/stack/run";

/** What an act can lay its hands on. */
export interface Stage {
  on: World;
  /** Of the run that is under way; an outage changes them for a while. */
  faults: Faults;
  client: () => Client | undefined;
  stop: AbortController;
  /** Nodes whose cordon is the meddler's. */
  cordons: Set<string>;
}

const OUTAGE_MS = 45_000;
/** How long calls for the Lease go without an answer. */
const HANG_MS = 60_000;
/** What another stack's Lease lasts, which nobody renews. */
const RIVAL_SECONDS = 20;
const STALL_MS = 90_000;

/** Somebody else's act. @param pick from 0 to 1: which of the objects that are there. @returns false when there was none for it */
export function meddle(stage: Stage, act: Act, pick: number): boolean {
  const { on } = stage;
  const { store } = on;
  const one = <T>(items: readonly T[]): T | undefined => items[Math.floor(pick * items.length)];
  const withPod = (pods: readonly Pod[], what: (pod: Pod) => void): boolean => {
    const pod = one(pods);
    if (pod !== undefined) what(pod);
    return pod !== undefined;
  };
  const withNode = (nodes: readonly Node[], what: (node: Node) => void): boolean => {
    const node = one(nodes);
    if (node !== undefined) what(node);
    return node !== undefined;
  };
  const spec = (
    kind: "Node" | "PodDisruptionBudget",
    name: string,
    given: object,
    namespace?: string,
  ): void => void store.patch(kind, name, namespace, { spec: given }, MEDDLER);
  const budgets = store.all("PodDisruptionBudget");
  const green = new Set<string | undefined>(on.nodes(GREEN.generation).map(({ metadata }) => metadata.name));
  const living = on.workloadPods().filter((pod) => !isGoing(pod));
  switch (act) {
    case "delete-pod":
      return withPod(living, (pod) => store.remove("Pod", pod, MEDDLER));
    case "evict-pod":
      return withPod(living, ({ metadata: { name, namespace = "default" } }) =>
        evict(store, { name, namespace }, MEDDLER, on.terminatingNamespaces),
      );
    case "uncordon":
      return withNode(
        on.nodes().filter((node) => node.spec?.unschedulable),
        ({ metadata: { name } }) => {
          stage.cordons.delete(name);
          spec("Node", name, { unschedulable: null });
        },
      );
    case "cordon":
      return withNode(
        on.nodes().filter((node) => !node.spec?.unschedulable),
        ({ metadata: { name } }) => {
          stage.cordons.add(name);
          spec("Node", name, { unschedulable: true });
        },
      );
    case "spend-budget":
    case "open-budget": {
      const budget = one(budgets);
      if (budget === undefined) return false;
      const given = { minAvailable: null, maxUnavailable: act === "spend-budget" ? 0 : "100%" };
      spec("PodDisruptionBudget", budget.metadata.name, given, budget.metadata.namespace);
      return true;
    }
    case "remove-budget": {
      const budget = one(budgets);
      if (budget !== undefined) store.remove("PodDisruptionBudget", budget, MEDDLER);
      return budget !== undefined;
    }
    case "add-budget":
      return withPod(living, ({ metadata: { labels = {} } }) => {
        const name = `${labels["app"] ?? ""}-new`;
        if (store.get("PodDisruptionBudget", name, "default")) return;
        const selector = { matchLabels: { app: labels["app"] ?? "" } };
        store.create(
          "PodDisruptionBudget",
          { metadata: { name, namespace: "default" }, spec: { selector, maxUnavailable: 1 } },
          MEDDLER,
        );
      });
    case "scale-up":
    case "scale-down": {
      const by = act === "scale-up" ? 1 : -1;
      const sets = [
        ...store.all("ReplicaSet").map((set) => ["ReplicaSet", set] as const),
        // new ordinals would need volumes that nobody has made
        ...(by < 0 ? store.all("StatefulSet").map((set) => ["StatefulSet", set] as const) : []),
      ].filter(([, set]) => (set.spec?.replicas ?? 1) + by >= 1);
      const chosen = one(sets);
      if (chosen === undefined) return false;
      const [kind, { metadata, spec: old }] = chosen;
      const replicas = (old?.replicas ?? 1) + by;
      store.patch(kind, metadata.name, metadata.namespace, { spec: { replicas } }, MEDDLER);
      return true;
    }
    case "restart":
      return withPod(
        living.filter((pod) => isServing(pod) && green.has(pod.spec?.nodeName)),
        (pod) => {
          store.update(
            "Pod",
            pod,
            (draft) => {
              const [status] = draft.status?.containerStatuses ?? [];
              if (status) status.restartCount = (status.restartCount ?? 0) + 1;
            },
            "kubelet",
          );
        },
      );
    case "lose-blue": {
      const blue = on.nodes(BLUE.generation);
      return blue.length > 1 && withNode(blue, ({ metadata }) => on.lose(metadata.name));
    }
    case "grow-blue": {
      const group = one(
        [...on.cloud.groups.values()].filter(({ generation }) => generation === BLUE.generation),
      );
      if (group === undefined || group.size.desired >= group.size.max) return false;
      on.cloud.resize(group, { desired: group.size.desired + 1 });
      return true;
    }
    case "finalizer":
      return withPod(living, (pod) => {
        store.update("Pod", pod, (draft) => (draft.metadata.finalizers = ["example.com/hold"]), MEDDLER);
      });
    case "outage": {
      const { faults } = stage; // of this run: the next one has its own
      const before = faults.lost ?? 0;
      if (before === 1) return false;
      faults.lost = 1;
      on.clock.after(OUTAGE_MS * (0.1 + pick), "the network comes back", () => (faults.lost = before));
      return true;
    }
    case "stall": {
      const caches = stage.client()?.cluster.caches ?? [];
      for (const cache of caches) cache.stall(STALL_MS * pick);
      return caches.length > 0;
    }
    case "hang-lease": {
      // calls for the Lease hang, and when it has run out, somebody else takes it
      const client = stage.client();
      const lease = store.get("Lease", "patchguard", "kube-system");
      const { holderIdentity: holder = "", renewTime = "", leaseDurationSeconds = 0 } = lease?.spec ?? {};
      if (client === undefined || !holder.endsWith(`/${client.session.name}`)) return false;
      const { cluster, clock } = client;
      const ends = clock.now() + HANG_MS;
      const get = cluster.get.bind(cluster);
      cluster.get = async (kind, ...named) => {
        if (kind === "Lease") await clock.sleep(Math.max(0, ends - clock.now()));
        return get(kind, ...named);
      };
      const left = Date.parse(renewTime) + (leaseDurationSeconds + 1) * 1000 - clock.now();
      on.clock.after(Math.max(0, left), `${MEDDLER}: takes the Lease that has run out`, () => {
        const now = store.get("Lease", "patchguard", "kube-system")?.spec;
        if (now?.holderIdentity === holder && now.renewTime === renewTime) meddle(stage, "take-lease", pick);
      });
      return true;
    }
    case "take-lease": {
      const lease = store.get("Lease", "patchguard", "kube-system");
      if (lease === undefined) return false;
      const renewTime = new Date(on.clock.now()).toISOString().replace("Z", "000Z");
      const given = { holderIdentity: RIVAL, renewTime, leaseDurationSeconds: RIVAL_SECONDS };
      store.patch("Lease", "patchguard", "kube-system", { spec: given }, MEDDLER);
      return true;
    }
    case "interrupt":
      stage.stop.abort(new Interrupted("the operator stopped the run"));
      return true;
  }
}
