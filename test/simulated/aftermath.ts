import type { Node } from "../../rollout/cluster/types.ts";
import type { World } from "./world.ts";

export interface EndOptions {
  /** Generations that rightly stay closed (blue after a success, green after a rollback). */
  closed?: string[];
  /** Generations that must hold no workload pod any more. */
  empty?: string[];
  /** Nodes whose cordon somebody else set: it must still be there. */
  foreignCordons?: string[];
}

const GENERATION = "patchguard.dev/generation";

/** What is wrong with the world after a run has ended: workloads that are not whole, pods left behind, things left closed. */
export function leftovers(world: World, options: EndOptions = {}): string[] {
  const { closed = [], empty = [], foreignCordons = [] } = options;
  const found = world.unsettled();
  for (const generation of empty) {
    for (const { metadata, spec } of world.workloadPods(generation))
      found.push(`pod ${metadata.name} is still on ${spec?.nodeName ?? "?"}`);
  }
  for (const node of world.nodes()) {
    const name = node.metadata.name;
    if (foreignCordons.includes(name) && !node.spec?.unschedulable)
      found.push(`node ${name} lost the cordon that somebody else had set`);
    if (closed.includes(node.metadata.labels?.[GENERATION] ?? "")) continue;
    for (const mark of marksOn(node, foreignCordons.includes(name)))
      found.push(`node ${name} still has ${mark}`);
  }
  for (const group of world.cloud.groups.values()) {
    if (closed.includes(group.generation ?? "")) continue;
    const before = world.cloud.original(group.name);
    if (group.ownership !== undefined)
      found.push(`group ${group.name} still has the ownership tag "${group.ownership}"`);
    const now = `min ${group.size.min} max ${group.size.max} suspended ${group.suspended.join("+") || "none"}`;
    if (before !== undefined && now !== before)
      found.push(`group ${group.name} has ${now}, it had ${before}`);
  }
  const holder = world.store.get("Lease", "patchguard", "kube-system")?.spec?.holderIdentity ?? "";
  if (holder !== "") found.push(`the Lease is still held by ${holder}`);
  return found;
}

function marksOn({ metadata, spec }: Node, foreignCordon: boolean): string[] {
  const marks: string[] = [];
  if (spec?.unschedulable && !foreignCordon) marks.push("a cordon");
  for (const { key, effect } of spec?.taints ?? [])
    if (key.startsWith("patchguard.dev/")) marks.push(`taint ${key}:${effect}`);
  for (const key of Object.keys(metadata.annotations ?? {})) {
    if (key.startsWith("patchguard.dev/") || key === "cluster-autoscaler.kubernetes.io/scale-down-disabled")
      marks.push(`annotation ${key}`);
  }
  if (metadata.labels?.["node.kubernetes.io/exclude-from-external-load-balancers"] !== undefined)
    marks.push("the load balancer exclusion");
  return marks;
}
