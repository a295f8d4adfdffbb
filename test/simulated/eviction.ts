import { ApiError } from "../../rollout/cluster/cluster.ts";
import type { Pod, PodDisruptionBudget } from "../../rollout/cluster/types.ts";
import { selectorMatches } from "./select.ts";
import { iso, type Store } from "./store.ts";

/** The server's answer: a Status with its code, and the cause where a budget is behind it. */
export interface EvictionStatus {
  code: number;
  reason: string;
  message: string;
  /** The one cause that matters: `DisruptionBudget` or `NamespaceTerminating`. */
  cause?: { type: string; message: string };
  retryAfterSeconds?: number;
}

const OK: EvictionStatus = { code: 201, reason: "", message: "" };
const MAX_DISRUPTED = 2000;

export interface EvictionRequest {
  name: string;
  namespace: string;
  /** UID precondition. */
  uid?: string;
  dryRun?: boolean;
}

/** Ready as the disruption controller and the Eviction API see it: the condition alone. */
export const hasReadyCondition = (pod: Pod): boolean =>
  (pod.status?.conditions ?? []).some(({ type, status }) => type === "Ready" && status === "True");

/**
 * The Eviction subresource as Kubernetes 1.34 has it (pkg/registry/core/pod/storage/eviction.go): what bypasses budgets, what
 * is refused and in which words, what is written before the pod is deleted.
 */
export function evict(
  store: Store,
  request: EvictionRequest,
  by: string,
  terminatingNamespaces: ReadonlySet<string>,
): EvictionStatus {
  const { name, namespace } = request;
  if (terminatingNamespaces.has(namespace)) {
    // the namespace lifecycle admission refuses creations there, and an eviction is one
    const message = `unable to create new content in namespace ${namespace} because it is being terminated`;
    return {
      code: 403,
      reason: "Forbidden",
      message,
      cause: { type: "NamespaceTerminating", message: `namespace ${namespace} is being terminated` },
    };
  }
  const pod = store.get("Pod", name, namespace);
  if (pod === undefined) return { code: 404, reason: "NotFound", message: `pods "${name}" not found` };
  if (mayIgnoreBudgets(pod)) return removePod(store, pod, request, by);

  const budgets = budgetsOf(store, pod);
  if (budgets.length > 1) {
    return {
      code: 500,
      reason: "",
      message:
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    };
  }
  const [budget] = budgets;
  if (budget !== undefined) {
    const refusal = unhealthyMayGo(pod, budget)
      ? undefined
      : checkAndDecrement(store, pod, budget, request.dryRun ?? false, by);
    if (refusal !== undefined) return refusal;
  }
  return removePod(store, pod, request, by);
}

/** The budgets of the pod's namespace that select it. (An empty selector selects all, a missing one nothing: policy/v1.) */
export const budgetsOf = (store: Store, pod: Pod): PodDisruptionBudget[] =>
  store
    .all("PodDisruptionBudget")
    .filter(
      (it) =>
        it.metadata.namespace === pod.metadata.namespace &&
        selectorMatches(it.spec?.selector, pod.metadata.labels),
    );

function mayIgnoreBudgets(pod: Pod): boolean {
  const phase = pod.status?.phase ?? "Pending";
  return (
    phase === "Succeeded" ||
    phase === "Failed" ||
    phase === "Pending" ||
    pod.metadata.deletionTimestamp !== undefined
  );
}

function unhealthyMayGo(pod: Pod, { spec, status }: PodDisruptionBudget): boolean {
  if (hasReadyCondition(pod)) return false;
  if (spec?.unhealthyPodEvictionPolicy === "AlwaysAllow") return true;
  const desired = status?.desiredHealthy ?? 0;
  return (status?.currentHealthy ?? 0) >= desired && desired > 0;
}

function checkAndDecrement(
  store: Store,
  pod: Pod,
  budget: PodDisruptionBudget,
  dryRun: boolean,
  by: string,
): EvictionStatus | undefined {
  const { name, generation = 0 } = budget.metadata;
  const status = budget.status ?? {};
  const allowed = status.disruptionsAllowed ?? 0;
  const refuse = (message: string, retryAfterSeconds?: number): EvictionStatus => ({
    code: 429,
    reason: "TooManyRequests",
    message: "Cannot evict pod as it would violate the pod's disruption budget.",
    cause: { type: "DisruptionBudget", message },
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
  const forbid = (why: string): EvictionStatus => ({
    code: 403,
    reason: "Forbidden",
    message: `poddisruptionbudgets.policy "${name}" is forbidden: ${why}`,
  });
  if ((status.observedGeneration ?? 0) < generation)
    return refuse(`The disruption budget ${name} is still being processed by the server.`, 10);
  if (allowed < 0) return forbid("pdb disruptions allowed is negative");
  if (Object.keys(status.disruptedPods ?? {}).length > MAX_DISRUPTED) {
    return forbid("DisruptedPods map too big - too many evictions not confirmed by PDB controller");
  }
  if (allowed === 0) {
    return refuse(
      `The disruption budget ${name} needs ${status.desiredHealthy ?? 0} healthy pods and has ${status.currentHealthy ?? 0} currently`,
    );
  }
  if (dryRun) return undefined;
  store.update(
    "PodDisruptionBudget",
    budget,
    (draft) => {
      const disruptedPods = { ...draft.status?.disruptedPods, [pod.metadata.name]: iso(store.clock.now()) };
      draft.status = { ...draft.status, disruptionsAllowed: allowed - 1, disruptedPods };
    },
    by,
  );
  return undefined;
}

function removePod(store: Store, pod: Pod, { uid, dryRun }: EvictionRequest, by: string): EvictionStatus {
  if (uid !== undefined && uid !== pod.metadata.uid) {
    const message = `Operation cannot be fulfilled on Pod "${pod.metadata.name}": the UID in the precondition (${uid}) does not match the UID in record (${pod.metadata.uid}). The object might have been deleted and then recreated`;
    return { code: 409, reason: "Conflict", message };
  }
  if (dryRun) return OK;
  const condition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "EvictionByEvictionAPI",
    message: "Eviction API: evicting",
  };
  const marked = store.update(
    "Pod",
    pod,
    (draft) => {
      const others = (draft.status?.conditions ?? []).filter(({ type }) => type !== "DisruptionTarget");
      draft.status = { ...draft.status, conditions: [...others, condition] };
    },
    by,
  );
  if (marked !== undefined) store.remove("Pod", marked, by);
  return OK;
}

/** Status to exception, for callers that want it as the generic client gives it. */
export const asError = ({ code, reason, message, retryAfterSeconds }: EvictionStatus): ApiError =>
  new ApiError(code, reason, message, { ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) });
