/** Scenes that the cases share. */
import type { World } from "./world.ts";

export interface Case {
  name: string;
  /** `kind object` of each violation, in order. */
  expect: string[];
  /** By whom, if it matters. */
  who?: string;
  play: (world: World) => void;
  requireLease?: boolean;
}

export const taint = (key: string, effect: string) => (node: { spec?: { taints?: object[] } }) => {
  node.spec = { ...node.spec, taints: [...(node.spec?.taints ?? []), { key, value: "bbbbbbbb", effect }] };
};

/** Three web pods on blue-1, a budget of two. */
export function web(
  world: World,
  spec: { minAvailable?: number | string; maxUnavailable?: number | string } = {},
) {
  world.node("blue-1");
  world.node("blue-2");
  world.node("green-1", { generation: "bbbbbbbb" });
  const owner = { kind: "ReplicaSet", uid: world.workload("ReplicaSet", "web", 3) };
  world.budget("web", Object.keys(spec).length === 0 ? { minAvailable: 2 } : spec);
  for (const name of ["web-1", "web-2", "web-3"]) world.pod(name, "blue-1", owner);
  return owner;
}

/** Three free pods on blue-1, without a budget: of one ReplicaSet, or of another controller. */
export function free(world: World, kind = "ReplicaSet") {
  world.node("blue-1");
  world.node("green-1", { generation: "bbbbbbbb" });
  const uid = kind === "ReplicaSet" ? world.workload("ReplicaSet", "free", 3) : "one";
  const owner = { kind, uid };
  for (const name of ["free-1", "free-2", "free-3"]) world.pod(name, "blue-1", owner);
  return owner;
}

/** Three Kafka pods with a volume each, on blue-1 to blue-3. */
export function kafka(world: World, attached = true) {
  const owner = { kind: "StatefulSet", uid: world.workload("StatefulSet", "kafka", 3) };
  world.node("green-1", { generation: "bbbbbbbb" });
  for (const n of [0, 1, 2]) {
    world.node(`blue-${n}`);
    world.object("INITIAL", {
      kind: "PersistentVolumeClaim",
      metadata: world.meta(`data-kafka-${n}`, "shop"),
      spec: { volumeName: `pv-${n}` },
    });
    if (attached) world.attach(`pv-${n}`, `blue-${n}`, "INITIAL");
    kafkaPod(world, n, `blue-${n}`, owner);
  }
  return owner;
}

export function kafkaPod(
  world: World,
  n: number,
  node: string,
  owner: { kind: string; uid: string },
  ready = true,
) {
  world.pod(`kafka-${n}`, node, owner, (pod) => {
    pod.spec = {
      ...pod.spec,
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: `data-kafka-${n}` } }],
    };
    if (!ready) pod.status = { phase: "Pending" };
  });
}
