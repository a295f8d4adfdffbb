import type { Pod } from "../cluster/types.ts";
import { count, type Finding } from "../finding.ts";
import { stillOwed } from "../owed.ts";
import { isFinished, isPodReady } from "../pods.ts";
import { replicas, whyNotWhole, workloadOf, workloadsOf } from "../whole.ts";
import type { Scene } from "./question.ts";
import { finding } from "./rules.ts";

/**
 * Workloads that an earlier handover has left short and that no budget guards: no Ready pod of theirs goes before they are whole. Where the
 * pods that are not Ready are on blue their nodes go first; elsewhere nothing that this handover does brings them back, and it would close
 * blue only to hold. (Budgets and StatefulSets have rules of their own.)
 */
export function leftShort({ picture, moving, now, owed }: Scene): Finding[] {
  if (owed === undefined) return [];
  const short = stillOwed(picture, owed.lacked, now);
  const podsOf = Map.groupBy(moving, (pod) => workloadOf(pod)?.uid ?? "");
  return workloadsOf(picture, new Set(Object.keys(short))).flatMap((workload) => {
    const { kind, namespace, name, uid } = workload;
    const pods = podsOf.get(uid) ?? [];
    const guarded = kind === "StatefulSet" || pods.some((pod) => picture.budgetsOf(pod).length > 0);
    if (pods.length === 0 || guarded) return [];
    const { wanted, ready } = replicas(picture, workload, new Set(), now);
    const left =
      `an earlier handover has left it with ${ready} of ${count(wanted ?? -(short[uid] ?? 0), "replica")} Ready: ` +
      whyNotWhole(picture, workload);
    const object = { kind, namespace, name, uid };
    const here = pods.filter((pod) => !isPodReady(pod));
    if (here.length > 0) {
      const why = `${left}; what is on blue of that goes first, and none of its Ready pods before it is whole`;
      return [finding("left-short-goes-first", object, why, `${describe(here)} says why it is not Ready`)];
    }
    const late = picture.podsOf(uid).filter((pod) => !isPodReady(pod) && !isFinished(pod));
    const fix =
      late.length === 0
        ? `\`kubectl -n ${namespace} describe ${kind.toLowerCase()} ${name}\` says why its pods are not created`
        : `mend what it waits for: ${describe(late)} says why`;
    const found = finding(
      "left-short",
      object,
      `${left}; none of its Ready pods is moved before it is whole`,
      fix,
    );
    return [owed.inTime ? { ...found, severity: "wait" as const } : found];
  });
}

const describe = ([pod]: readonly Pod[]): string =>
  pod === undefined
    ? ""
    : `\`kubectl -n ${pod.metadata.namespace ?? "default"} describe pod ${pod.metadata.name}\``;
