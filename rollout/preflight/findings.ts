import { type Finding, sortFindings } from "../finding.ts";
import { budgets } from "./budgets.ts";
import { cloud } from "./cloud.ts";
import { evictors } from "./evictors.ts";
import { fit } from "./fit.ts";
import { leftShort } from "./left-short.ts";
import { nodes } from "./nodes.ts";
import { pods } from "./pods.ts";
import { type Question, type Rule, sceneOf } from "./question.ts";
import { unread } from "./unread.ts";
import { volumes } from "./volumes.ts";
import { webhooks } from "./webhooks.ts";
import { workloads } from "./workloads.ts";

/** Every rule, in no particular order: what they say is sorted. */
const RULES: Rule[] = [
  budgets,
  pods,
  workloads,
  leftShort,
  volumes,
  nodes,
  fit,
  evictors,
  webhooks,
  cloud,
  unread,
];

/**
 * What stands in the way of emptying the pool's blue nodes, and what the operator should know, worked out from the question alone (no
 * request). Nothing to move: no findings.
 */
export function findings(question: Question): Finding[] {
  const scene = sceneOf(question);
  return scene.blue.length === 0 ? [] : sortFindings(RULES.flatMap((rule) => rule(scene)));
}
