import type { Toleration } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import { isTerminating, judgePod } from "../pods.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";
import { topOwners } from "./top-owner.ts";

/** Pods that may not be evicted without the operator's word, or never. */
export function pods({ picture, config, moving }: Scene): Finding[] {
  const found: Finding[] = [];
  for (const pod of moving) {
    const object = refOf("Pod", pod);
    const where = `on node ${pod.spec?.nodeName}`;
    const verdict = judgePod(pod, config.drain);
    if (verdict.action === "refuse")
      found.push(finding(verdict.rule, object, `${verdict.why} (${where})`, verdict.fix));
    if (verdict.action === "excluded") {
      found.push(
        finding(
          "pod-excluded",
          object,
          `rollout.drain.podSelector (${config.drain.podSelector}) leaves it out (${where}), so its node cannot be emptied, and the handover holds when all else is moved`,
          "move it yourself before that, widen the selector, or set rollout.drain.excludedPods: last",
        ),
      );
    }
    if (verdict.action === "evict" && verdict.last) {
      found.push(
        finding(
          "pod-excluded",
          object,
          `rollout.drain.podSelector (${config.drain.podSelector}) leaves it out (${where}), so it is moved when all others are, alone and with a health window of its own`,
          "nothing; to move it yourself instead set rollout.drain.excludedPods: hold",
        ),
      );
    }
    if (isTerminating(pod)) continue; // its successor, if there is one, is judged where it runs
    if (toleratesEverything(pod.spec?.tolerations ?? [])) {
      const [owner] = topOwners(picture, [pod]);
      const whose = owner === undefined ? "the pod" : `${owner.kind} ${owner.namespace}/${owner.name}`;
      found.push(
        finding(
          "pod-tolerates-everything",
          object,
          `it tolerates every taint that keeps pods off a node, a cordon's too (${where}), so the scheduler may send it back to a node that is being emptied, and the handover would hold`,
          `let ${whose} tolerate by key what it has to (\`operator: Exists\` without a key is everything), or move it yourself (rollout.drain.podSelector leaves it out, with rollout.drain.excludedPods: hold)`,
        ),
      );
    }
    const budgets = picture.budgetsOf(pod);
    if (budgets.length > 1) {
      const names = budgets.map(({ metadata }) => metadata.name).toSorted();
      found.push(
        finding(
          "several-budgets",
          object,
          `${budgets.length} budgets select it (${names.join(", ")}); the Eviction API then always refuses (${where})`,
          "leave one PodDisruptionBudget per pod: narrow the others' selectors or delete them",
        ),
      );
    }
  }
  return found;
}

/** Every key, and the effect with which a node is closed: https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/. */
const toleratesEverything = (tolerations: readonly Toleration[]): boolean =>
  tolerations.some(
    ({ key = "", operator, effect = "" }) =>
      key === "" && operator === "Exists" && (effect === "" || effect === "NoSchedule"),
  );
