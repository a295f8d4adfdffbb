import type { Clock } from "../clock.ts";
import type { Cluster, EvictionResult } from "../cluster/cluster.ts";
import type { Pod } from "../cluster/types.ts";
import type { Finding, ObjectRef } from "../finding.ts";
import { podName } from "../pods.ts";
import { finding } from "./rules.ts";

/** Dry runs a second, so that a rehearsal is no burden to the API server (a thousand pods: 50 s). */
const PER_SECOND = 20;
/** Dry runs under way at once. */
const AT_ONCE = 8;
/** How often one pod is asked again when the server had no time, or no answer. */
const ATTEMPTS = 4;
/** A rehearsal may take a minute, and this many times as long as it takes where every answer comes at once. */
const PATIENCE = 4;
/** Pods that a message names. */
const NAMED = 3;

/** How long a rehearsal of so many pods takes where every answer comes at once. */
export const rehearsalSeconds = (pods: number): number => Math.ceil(pods / PER_SECOND);

/**
 * Asks every pod by a dry-run eviction, which runs the real admission chain and changes nothing: what would refuse is known before
 * anything is created or cordoned. Budgets are not its business (each dry run stands alone, and they have findings of their own).
 * A webhook that lets every answer wait must not hold the run up for hours: who could not be asked in time is "not judged".
 * @throws the signal's reason; ApiError when the credential is refused
 */
export async function rehearse(
  { cluster, clock, signal }: { cluster: Cluster; clock: Clock; signal: AbortSignal },
  pods: readonly Pod[],
): Promise<Finding[]> {
  const refusals: { pod: Pod; refusal: Refusal }[] = [];
  const queue = pods.values();
  const limit = 60 + PATIENCE * rehearsalSeconds(pods.length);
  const deadline = clock.now() + limit * 1000;
  let nextAt = clock.now();
  const turn = async (): Promise<void> => {
    const wait = nextAt - clock.now();
    nextAt = Math.max(nextAt, clock.now()) + 1000 / PER_SECOND;
    if (wait > 0) await clock.sleep(wait, signal);
    signal.throwIfAborted();
  };
  const work = async (): Promise<void> => {
    for (const pod of queue) {
      const refusal = await ask(pod);
      if (refusal !== undefined) refusals.push({ pod, refusal });
    }
  };
  const ask = async (pod: Pod): Promise<Refusal | undefined> => {
    const { name, namespace = "default", uid } = pod.metadata;
    for (let attempt = 1; ; attempt++) {
      if (clock.now() >= deadline) {
        const message = `it was not asked within the ${limit} s that the rehearsal has; answers come too slowly`;
        return { kind: "not-judged", by: undefined, message };
      }
      await turn();
      const result = await cluster.evict({ name, namespace, uid }, { dryRun: true });
      const refusal = refusalOf(result);
      if (refusal !== "again") return refusal;
      if (attempt >= ATTEMPTS) return { kind: "not-judged", by: undefined, message: messageOf(result) };
      const seconds = "retryAfterSeconds" in result ? (result.retryAfterSeconds ?? attempt) : attempt;
      await clock.sleep(Math.min(seconds * 1000, Math.max(0, deadline - clock.now())), signal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, pods.length) }, work));
  return findingsOf(refusals);
}

interface Refusal {
  kind: "denied" | "unreachable" | "not-judged" | "by-operator" | "permission";
  /** The webhook or policy, where the answer names one. */
  by: string | undefined;
  message: string;
}

/**
 * Webhooks that refuse an eviction on purpose because their operator then moves the pod itself: Strimzi's drain cleaner
 * (https://github.com/strimzi/drain-cleaner).
 */
const OPERATORS = [/^strimzi-drain-cleaner\./];

/**
 * What the API server's answer means. The sentences are those of k8s.io/apiserver pkg/admission/plugin/webhook (errors and dispatcher) and
 * pkg/admission/plugin/policy/validating.
 */
function refusalOf(result: EvictionResult): Refusal | "again" | undefined {
  // a webhook may refuse with any code, 429 among them
  if (result.outcome !== "refused" && result.outcome !== "throttled") return undefined;
  const { message } = result;
  const noDryRun = /admission webhook "([^"]+)" does not support dry run/.exec(message);
  if (noDryRun) return { kind: "not-judged", by: noDryRun[1], message };
  const denied = /admission webhook "([^"]+)" denied the request(?:: ([^]*))?/.exec(message);
  if (denied) {
    const by = denied[1] ?? "";
    const kind = OPERATORS.some((it) => it.test(by)) ? "by-operator" : "denied";
    return { kind, by, message: denied[2] ?? "without a reason" };
  }
  const policy = /ValidatingAdmissionPolicy '([^']+)'(?: with binding '[^']+')? denied request: ([^]*)/.exec(
    message,
  );
  if (policy) return { kind: "denied", by: policy[1], message: policy[2] ?? "" };
  const failed = /failed calling webhook "([^"]+)": ([^]*)/.exec(message);
  if (failed) return { kind: "unreachable", by: failed[1], message: failed[2] ?? "" };
  if (result.outcome === "throttled") return "again";
  const { status } = result;
  if (status === 403 && /cannot create resource "pods\/eviction"/.test(message))
    return { kind: "permission", by: undefined, message };
  if (status === 0 || status >= 500) return "again";
  return { kind: "denied", by: undefined, message };
}

const messageOf = (result: EvictionResult): string => ("message" in result ? result.message : result.outcome);

/** One finding per webhook and answer, however many pods it is about: an alert per pod would bury the reason. */
function findingsOf(refusals: { pod: Pod; refusal: Refusal }[]): Finding[] {
  const groups = Map.groupBy(
    refusals,
    ({ refusal: { kind, by, message } }) => `${kind} ${by ?? ""} ${message}`,
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined
      ? []
      : [
          sentenceOf(
            first.refusal,
            group.map(({ pod }) => pod),
          ),
        ];
  });
}

function sentenceOf({ kind, by, message }: Refusal, pods: Pod[]): Finding {
  const names = pods.map(podName).toSorted();
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  const whose = `${names.length === 1 ? "pod" : `${names.length} pods`} (${names.slice(0, NAMED).join(", ")}${more})`;
  const object: ObjectRef =
    by === undefined
      ? { kind: "Pod", namespace: pods[0]?.metadata.namespace, name: pods[0]?.metadata.name ?? "" }
      : { kind: "AdmissionWebhook", name: by };
  switch (kind) {
    case "denied":
      return finding(
        "eviction-denied",
        object,
        `a dry-run eviction of ${whose} was denied: ${message}`,
        by === undefined
          ? "find out what refuses (`kubectl get validatingwebhookconfigurations,validatingadmissionpolicies`) and let these pods go"
          : `do what its message asks, or ask the owner of ${by} to let these pods go`,
      );
    case "unreachable":
      return finding(
        "eviction-denied",
        object,
        `it does not answer, and the API server refuses to evict ${whose} without it: ${message}`,
        `bring its service back; \`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o wide\` shows where ${by} runs`,
      );
    case "permission":
      return finding(
        "eviction-denied",
        object,
        `PatchGuard may not evict: ${message}`,
        "give it `create` on pods/eviction (docs/permissions.md)",
      );
    case "by-operator":
      return finding(
        "eviction-by-operator",
        object,
        `it refuses to evict ${whose} on purpose: its operator moves them by itself (${message})`,
        "nothing: the drain asks again until the operator has moved them; see that the operator runs",
      );
    case "not-judged":
      return finding(
        "eviction-not-judged",
        object,
        by === undefined
          ? `a dry-run eviction of ${whose} got no answer: ${message}`
          : `it has side effects and cannot be asked by a dry run, so whether it lets ${whose} go is not known before the drain`,
        by === undefined
          ? "look at the API server's health; the drain asks again"
          : `declare \`sideEffects: None\` or \`NoneOnDryRun\` on ${by} if that is true`,
      );
  }
}
