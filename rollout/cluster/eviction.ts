import type { EvictionResult } from "./cluster.ts";
import { parseStatus, retryAfterOf } from "./status.ts";

/**
 * What the Eviction API's answer means. The strings and their order are those of
 * kubernetes/pkg/registry/core/pod/storage/eviction.go (1.34).
 */
export function classifyEviction(httpCode: number, retryAfter: string | null, body: string): EvictionResult {
  const status = parseStatus(body);
  // "More than one budget" comes as a Failure with code 500 inside an answer that HTTP calls a success.
  const failed = status?.status === "Failure" || httpCode < 200 || httpCode >= 300;
  if (!failed) return { outcome: "evicted" };
  const code = status?.code ?? httpCode;
  const message = status?.message ?? (body.replace(/\s+/g, " ").trim().slice(0, 200) || "no reason given");
  const seconds = retryAfterOf(status, retryAfter);
  const later = seconds === undefined ? {} : { retryAfterSeconds: seconds };
  const kind = status?.details?.kind?.toLowerCase() ?? "";
  const aboutBudget = /^poddisruptionbudgets?(\.|$)/.test(kind);

  // The pod or its whole namespace is gone. Any other 404 (a wrong path, a proxy) says nothing of the pod.
  if (code === 404 && status?.reason === "NotFound" && /^(pods?|namespaces?)$/.test(kind))
    return { outcome: "gone" };
  // Only the UID precondition is proof that this pod is gone; a conflict with a concurrent write is not.
  if (code === 409 && /UID in (the )?precondition/i.test(message)) return { outcome: "gone" };
  if (code === 429) {
    const cause = status?.details?.causes?.find(({ reason }) => reason === "DisruptionBudget")?.message;
    if (cause === undefined) return { outcome: "throttled", message, ...later };
    if (/still being processed by the server/.test(cause))
      return { outcome: "budget-stale", message: cause, ...later };
    return {
      outcome: "budget",
      budget: /The disruption budget (\S+) /.exec(cause)?.[1],
      message: cause,
      ...later,
    };
  }
  if (code === 500 && /more than one PodDisruptionBudget/.test(message))
    return { outcome: "several-budgets", message };
  if (code === 403 && status?.details?.causes?.some(({ reason }) => reason === "NamespaceTerminating")) {
    return { outcome: "namespace-terminating", message };
  }
  // disruptionsAllowed < 0, or more than 2000 disrupted pods on record: the budget's state, not a missing permission
  if (code === 403 && aboutBudget)
    return { outcome: "budget", budget: status?.details?.name, message, ...later };
  // The budget was written or deleted while the server counted (it gave up after its own retries).
  if (
    (aboutBudget && (code === 409 || code === 404)) ||
    (code === 504 && /PodDisruptionBudget/.test(message))
  ) {
    return { outcome: "budget-stale", message, ...later };
  }
  return { outcome: "refused", status: code, message };
}
