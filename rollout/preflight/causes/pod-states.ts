import type { Pod } from "../../cluster/types.ts";
import { count } from "../../finding.ts";
import { isTerminating, podName } from "../../pods.ts";
import { isReady } from "../../target.ts";
import type { Case, CauseRule } from "./case.ts";
import {
  containerName,
  containersOf,
  isCrashing,
  isImageMissing,
  isOomKilled,
  isRefused,
  lastEnd,
  type Stuck,
} from "./containers.ts";
import type { Owner } from "./owners.ts";
import { listing, ownerName, patchBudget, quoted, selectorFlag } from "./words.ts";

/** Causes that lie in the state of pods: the budget would have room if they were healthy. */

/** A pod that has not become Ready for this long is not just starting. Seconds. */
const STARTING_SECONDS = 120;
/** What a pod may take beyond its grace period to be gone. Seconds. */
const LEAVING_SLACK_SECONDS = 60;

/** Containers killed for memory, also when they are in CrashLoopBackOff because of it. */
export const oomKilled: CauseRule = (given) => {
  const stuck = find(given, isOomKilled);
  const [first] = stuck;
  if (first === undefined) return undefined;
  const limit = memoryLimit(first);
  return {
    rule: "budget-oom-killed",
    why: told(given, stuck, (it) => {
      const end = lastEnd(it);
      const most = memoryLimit(it);
      return `${containerName(it)} was OOMKilled${at(end?.finishedAt)} ${most === undefined ? "(the container has no memory limit of its own)" : `at its memory limit of ${most}`}, ${restarts(it)}${notReadySince(it.pod)}`;
    }),
    fix: `${limit === undefined ? `give it a memory request and limit` : `raise the memory limit of container ${first.status.name} above ${limit}`} in ${template(given, first.pod)}, or find what it fills memory with${mayLeaveAsTheyAre(given)}`,
  };
};

export const imagePull: CauseRule = (given) => {
  const stuck = find(given, isImageMissing);
  const [first] = stuck;
  if (first === undefined) return undefined;
  return {
    rule: "budget-image-pull",
    why: told(given, stuck, ({ pod, status, init }) => {
      const { reason, message } = status.state?.waiting ?? {};
      return `${containerName({ pod, status, init })} is in ${reason} with image ${imageOf({ pod, status, init })}${message ? ` ("${quoted(message, 200)}")` : ""}${notReadySince(pod)}`;
    }),
    fix: `correct the image or the pull secret of container ${first.status.name} in ${template(given, first.pod)}${undo(given, first.pod)}`,
  };
};

export const crashLoop: CauseRule = (given) => {
  const stuck = find(given, (it) => isCrashing(it, given.now));
  const [first] = stuck;
  if (first === undefined) return undefined;
  return {
    rule: "budget-crash-loop",
    why: told(given, stuck, (it) => {
      const end = lastEnd(it);
      const ended =
        end === undefined
          ? ""
          : `: last ended with exit code ${end.exitCode ?? "unknown"}${end.reason === undefined ? "" : ` (${end.reason})`}${at(end.finishedAt)}`;
      return `${containerName(it)} is in CrashLoopBackOff${ended}, ${restarts(it)}${notReadySince(it.pod)}`;
    }),
    fix: `read why: \`kubectl -n ${given.namespace} logs ${first.pod.metadata.name} -c ${first.status.name} --previous\`, then mend ${template(given, first.pod)}${undo(given, first.pod)}${mayLeaveAsTheyAre(given)}`,
  };
};

export const unschedulable: CauseRule = (given) => {
  const pending = given.ill.filter((pod) => !isTerminating(pod) && notScheduled(pod) !== undefined);
  if (pending.length === 0) return undefined;
  const gated = pending.every((pod) => notScheduled(pod)?.reason === "SchedulingGated");
  return {
    rule: "budget-unschedulable",
    why: listing(
      pending.map((pod) => {
        const condition = notScheduled(pod);
        return `pod ${podName(pod)} is Pending, ${condition?.reason ?? "Unschedulable"}${since(condition?.lastTransitionTime)}: "${quoted(condition?.message ?? "no reason given")}"`;
      }),
      2,
      "; ",
    ),
    fix: gated
      ? `find out who is to remove the scheduling gates: \`kubectl -n ${given.namespace} get pod ${pending[0]?.metadata.name} -o jsonpath={.spec.schedulingGates}\``
      : `give it room: clear what the scheduler names (add nodes, or mend the pod's requests, selectors, taints or volumes): \`kubectl -n ${given.namespace} describe pod ${pending[0]?.metadata.name}\``,
  };
};

/** Nothing of the app is healthy, and the budget keeps even its broken pods from being evicted (KEP-3017). */
export const alreadyDown: CauseRule = (given) => {
  const { budget, pods, ill } = given;
  const down = ill.filter((pod) => !isTerminating(pod) && pod.status?.phase === "Running");
  if (pods.length === 0 || ill.length < pods.length || down.length === 0 || !guardsTheIll(given))
    return undefined;
  if (down.some((pod) => isOnItsWay(given, pod) || lostNode(given, pod) !== undefined)) return undefined;
  return {
    rule: "budget-already-down",
    why: `${pods.length === 1 ? "its only pod is not Ready" : `none of its ${pods.length} pods is Ready`}, so the app is down already, and unhealthyPodEvictionPolicy ${budget.spec?.unhealthyPodEvictionPolicy ?? "IfHealthyBudget (the default)"} keeps even the broken ones from being evicted: ${listing(
      down.map((pod) => illness(given, pod)),
      2,
      "; ",
    )}`,
    fix: `bring the app back: \`kubectl -n ${given.namespace} describe pods${selectorFlag(given)}\`; or let its broken pods be moved as they are: ${patchBudget(given, { unhealthyPodEvictionPolicy: "AlwaysAllow" })} with an entry in rollout.preflight.exceptions`,
  };
};

/** Pods are young, are being replaced, or have just been evicted by somebody: time will tell. */
export const starting: CauseRule = (given) => {
  const { budget, ill, owners, now } = given;
  const evicted = Object.keys(budget.status?.disruptedPods ?? {}).toSorted();
  const settled = ill.filter((pod) => !isOnItsWay(given, pod));
  if (settled.length > 0) return undefined;
  const replaced = owners.filter((owner) => isRolling(owner));
  const missing = owners.filter(({ wanted, pods }) => wanted !== undefined && pods.length < wanted);
  if (ill.length === 0 && evicted.length === 0 && replaced.length === 0 && missing.length === 0)
    return undefined;
  const facts = [
    ...(ill.length === 0 ? [] : [listing(ill.map((pod) => `pod ${podName(pod)} ${progress(pod, now)}`))]),
    ...(evicted.length === 0 ? [] : [`an eviction of ${listing(evicted)} is under way`]),
    ...replaced.map((owner) => `a rollout of ${ownerName(owner)} is under way`),
    ...(ill.length > 0
      ? []
      : missing.map((owner) => `${ownerName(owner)} has ${owner.pods.length} of ${owner.wanted} pods yet`)),
  ];
  return {
    rule: "budget-pods-starting",
    why: `its pods are on their way: ${facts.join("; ")}`,
    fix: `wait until they are Ready: \`kubectl -n ${given.namespace} get pods${selectorFlag(given)} -w\`${mayLeaveAsTheyAre(given)}`,
  };
};

/** Not Ready for any other reason: readiness, its node, an init container, a refused container, an end that does not come. */
export const notReady: CauseRule = (given) => {
  const settled = given.ill.filter((pod) => !isOnItsWay(given, pod));
  const [first] = settled;
  if (first === undefined) return undefined;
  return {
    rule: "budget-pods-not-ready",
    why: listing(
      settled.map((pod) => illness(given, pod)),
      2,
      "; ",
    ),
    fix: `${remedy(given, first)}${mayLeaveAsTheyAre(given)}`,
  };
};

const find = ({ ill }: Case, is: (stuck: Stuck) => boolean): Stuck[] =>
  ill.flatMap((pod) => {
    if (isTerminating(pod)) return [];
    const first = containersOf(pod).find(is);
    return first === undefined ? [] : [first];
  });

/** One clause for each container, two at most; pods that are ill for another reason are counted. */
function told(given: Case, stuck: Stuck[], say: (it: Stuck) => string): string {
  const rest = given.ill.filter((pod) => stuck.every((it) => it.pod !== pod));
  const clauses = listing(stuck.map(say), 2, "; ");
  return rest.length === 0
    ? clauses
    : `${clauses}; also not Ready: ${listing(rest.map((pod) => `pod ${podName(pod)}`))}`;
}

const at = (time: string | undefined): string => (time === undefined ? "" : ` at ${time}`);
const since = (time: string | undefined): string => (time === undefined ? "" : ` since ${time}`);
const restarts = ({ status }: Stuck): string => count(status.restartCount ?? 0, "restart");

/** `, not Ready since …`; nothing where the kubelet has not said when. */
function notReadySince(pod: Pod): string {
  const condition = pod.status?.conditions?.find(({ type }) => type === "Ready");
  return condition?.lastTransitionTime === undefined
    ? ""
    : `, not Ready${since(condition.lastTransitionTime)}`;
}

function memoryLimit({ pod, status, init }: Stuck): string | undefined {
  const containers = init ? pod.spec?.initContainers : pod.spec?.containers;
  return containers?.find(({ name }) => name === status.name)?.resources?.limits?.["memory"];
}

function imageOf({ pod, status, init }: Stuck): string {
  const containers = init ? pod.spec?.initContainers : pod.spec?.containers;
  return containers?.find(({ name }) => name === status.name)?.image ?? status.image ?? "unknown";
}

const ownerOf = ({ owners }: Case, pod: Pod): Owner | undefined =>
  owners.find(({ pods, leaving }) => pods.includes(pod) || leaving.includes(pod));

/** Where a container is described: its workload, or the pod itself. */
function template(given: Case, pod: Pod): string {
  const owner = ownerOf(given, pod);
  return owner === undefined ? `pod ${podName(pod)}` : ownerName(owner);
}

function undo(given: Case, pod: Pod): string {
  const owner = ownerOf(given, pod);
  if (owner === undefined || !["Deployment", "StatefulSet"].includes(owner.kind)) return "";
  return `, or go back to the revision before: \`kubectl -n ${owner.namespace} rollout undo ${owner.kind.toLowerCase()}/${owner.name}\``;
}

/**
 * The Eviction API refuses pods that are not Ready, too: with the default policy while the budget is short, or asks for nothing
 * (k8s.io/kubernetes pkg/registry/core/pod/storage/eviction.go).
 */
function guardsTheIll({ budget: { spec, status } }: Case): boolean {
  const { currentHealthy = 0, desiredHealthy = 0 } = status ?? {};
  return (
    spec?.unhealthyPodEvictionPolicy !== "AlwaysAllow" &&
    (currentHealthy < desiredHealthy || desiredHealthy === 0)
  );
}

/** With the default policy the broken pods cannot be evicted either: said with every cause that leaves broken pods. */
function mayLeaveAsTheyAre(given: Case): string {
  if (!guardsTheIll(given)) return "";
  return `; until then even the broken pods cannot be evicted, unless the budget says so: ${patchBudget(given, { unhealthyPodEvictionPolicy: "AlwaysAllow" })}`;
}

const notScheduled = (pod: Pod) =>
  pod.status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");

const isYoung = ({ metadata, status }: Pod, now: number): boolean => {
  const born = Date.parse(status?.startTime ?? metadata.creationTimestamp ?? "");
  return !Number.isNaN(born) && now - born < STARTING_SECONDS * 1000;
};

/** The kubelet says "not Ready" as it takes a pod over: said much later, the pod was Ready in between. */
function lostReadiness({ status }: Pod): boolean {
  const since = status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime;
  if (since === undefined || status?.startTime === undefined) return false;
  return Date.parse(since) - Date.parse(status.startTime) > 10_000;
}

/** The deletion's time stands at the end of the grace period. */
const isLate = ({ metadata }: Pod, now: number): boolean =>
  metadata.deletionTimestamp !== undefined &&
  now - Date.parse(metadata.deletionTimestamp) > LEAVING_SLACK_SECONDS * 1000;

function isOnItsWay(given: Case, pod: Pod): boolean {
  if (lostNode(given, pod) !== undefined) return false;
  if (isTerminating(pod)) return !isLate(pod, given.now);
  return isYoung(pod, given.now) && !lostReadiness(pod) && !containersOf(pod).some(isRefused);
}

function progress(pod: Pod, now: number): string {
  if (isTerminating(pod)) return "is ending";
  const began = pod.status?.startTime ?? pod.metadata.creationTimestamp;
  const seconds = began === undefined ? 0 : now - Date.parse(began);
  return seconds >= 0 && began !== undefined ? `was started at ${began}` : "is starting";
}

/** The node of a pod, if it is not Ready or gone: its pods are not Ready whatever they do. */
function lostNode({ picture }: Case, { spec }: Pod): string | undefined {
  if (spec?.nodeName === undefined) return undefined;
  const node = picture.get("Node", spec.nodeName);
  if (node === undefined) return undefined;
  return isReady(node) ? undefined : spec.nodeName;
}

const isRolling = ({ object }: Owner): boolean =>
  (object?.status?.conditions ?? []).some(
    ({ type, status, reason }) =>
      type === "Progressing" && status === "True" && reason !== "NewReplicaSetAvailable",
  );

/** One pod's state in a clause. */
function illness(given: Case, pod: Pod): string {
  const name = `pod ${podName(pod)}`;
  if (isTerminating(pod)) {
    const finalizers = pod.metadata.finalizers ?? [];
    const held = finalizers.length === 0 ? "" : `, held by finalizer ${listing(finalizers)}`;
    return `${name} is still terminating, past its grace period that ended at ${pod.metadata.deletionTimestamp}${held}`;
  }
  const node = lostNode(given, pod);
  if (node !== undefined) return `${name} is on node ${node}, which is not Ready`;
  const containers = containersOf(pod);
  const refused = containers.find(isRefused);
  if (refused !== undefined) {
    const { reason, message } = refused.status.state?.waiting ?? {};
    return `${containerName(refused)} is in ${reason}${message ? ` ("${quoted(message, 200)}")` : ""}${notReadySince(pod)}`;
  }
  const init = containers.find((it) => it.init && it.status.ready !== true && !isSidecar(it));
  if (init !== undefined) {
    const end = init.status.state?.terminated;
    return end === undefined
      ? `${containerName(init)} has not finished${since(init.status.state?.running?.startedAt)}`
      : `${containerName(init)} ended with exit code ${end.exitCode ?? "unknown"}${at(end.finishedAt)}`;
  }
  const waiting = containers.find((it) => it.status.state?.waiting?.reason !== undefined);
  if (waiting !== undefined)
    return `${containerName(waiting)} has been in ${waiting.status.state?.waiting?.reason}${since(pod.status?.startTime ?? pod.metadata.creationTimestamp)}`;
  const probed = containers.find((it) => it.status.ready !== true);
  const gate = pod.status?.conditions?.find(({ type }) => type === "Ready");
  if (probed === undefined && gate?.reason === "ReadinessGatesNotReady")
    return `${name} runs, but a readiness gate has not passed ("${quoted(gate.message ?? "")}")${notReadySince(pod)}`;
  if (probed === undefined)
    return `${name} is ${pod.status?.phase ?? "in no known phase"}, not Ready${since(gate?.lastTransitionTime)}`;
  return probed.status.state?.running === undefined
    ? `${containerName(probed)} does not run${notReadySince(pod)}`
    : `${containerName(probed)} runs, but its readiness probe does not pass${notReadySince(pod)}`;
}

const isSidecar = ({ pod, status }: Stuck): boolean =>
  pod.spec?.initContainers?.find(({ name }) => name === status.name)?.restartPolicy === "Always";

function remedy(given: Case, pod: Pod): string {
  const { namespace } = given;
  if (isTerminating(pod)) {
    return (pod.metadata.finalizers ?? []).length > 0
      ? `help the controller that set the finalizer: \`kubectl -n ${namespace} describe pod ${pod.metadata.name}\``
      : `look at the kubelet of node ${pod.spec?.nodeName ?? "unknown"}: \`kubectl describe node ${pod.spec?.nodeName ?? ""}\``;
  }
  const node = lostNode(given, pod);
  if (node !== undefined)
    return `bring node ${node} back, or end its instance: \`kubectl describe node ${node}\``;
  return `make it Ready: \`kubectl -n ${namespace} describe pod ${pod.metadata.name}\` shows its probes and events`;
}
