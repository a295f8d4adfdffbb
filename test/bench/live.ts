/** Findings and plan on a real API server with 1,000 nodes and 10,000 pods, from the moment that the lists have arrived (docs/benchmarks.md). */
import { KubeConfig } from "@kubernetes/client-node";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { Transport } from "../../rollout/cluster/transport.ts";
import { Inventory } from "../../rollout/inventory.ts";
import { readContext, withContext } from "../../rollout/snapshot.ts";
import { startSandbox, stopSandbox } from "../../sandbox/sandbox.ts";
import { terminalProgress } from "../../sandbox/terminal.ts";
import { reportOn } from "./report-on.ts";
import { collections } from "./synthetic.ts";

const SIZE = { nodes: 1000, pods: 10_000, budgets: 300 };
const LIMIT_SECONDS = 5;
const AT_ONCE = 32;

/** @returns whether it kept to its limit */
export async function liveBench(): Promise<boolean> {
  const dir = path.join(mkdtempSync(path.join(tmpdir(), "patchguard-bench-")), "sandbox");
  try {
    const box = await startSandbox({
      dir,
      without: ["moto", "machine-room", "kwok", "kube-controller-manager", "kube-scheduler"],
      progress: terminalProgress(),
    });
    const kc = new KubeConfig();
    kc.loadFromFile(box.kubeconfig);
    const options = { requestTimeoutSeconds: 60, userAgent: "sandbox-bench", clock: systemClock };
    await fill(new Transport(kc, options));
    const cluster = createCluster(kc, options);
    const began = performance.now();
    const inventory = await Inventory.open(cluster);
    try {
      const context = await readContext(cluster);
      const listed = performance.now();
      const report = reportOn(withContext(inventory, context));
      const judged = performance.now();
      const plan = report.pools[0]?.plan;
      console.log(
        `\nlive: ${SIZE.nodes} nodes, ${SIZE.pods} pods, ${SIZE.budgets} budgets on a real API server; ${plan?.nodes.length ?? 0} blue nodes with ${plan?.evictions ?? 0} pods to move`,
      );
      console.log(`lists arrive         ${((listed - began) / 1000).toFixed(1).padStart(7)} s`);
      console.log(
        `findings and plan    ${((judged - listed) / 1000).toFixed(1).padStart(7)} s   limit ${LIMIT_SECONDS} s`,
      );
      return judged - listed <= LIMIT_SECONDS * 1000;
    } finally {
      inventory.close();
    }
  } finally {
    await stopSandbox({ dir });
  }
}

type Made = {
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    ownerReferences?: { name: string; uid: string }[];
  };
} & {
  spec?: {
    serviceAccountName?: string;
    automountServiceAccountToken?: boolean;
    volumes?: unknown;
    containers?: { volumeMounts?: unknown }[];
  };
  status?: unknown;
};

/** Writes the synthetic cluster; nothing else runs in it that could change it. */
async function fill(transport: Transport): Promise<void> {
  const all = collections(SIZE);
  const owners = new Map<string, string>();
  const create = async (collection: string, object: Made): Promise<Made> => {
    const { namespace } = object.metadata;
    const at = collection.lastIndexOf("/");
    const folder =
      namespace === undefined
        ? collection
        : `${collection.slice(0, at)}/namespaces/${namespace}${collection.slice(at)}`;
    const { uid: _, ...metadata } = object.metadata as Made["metadata"] & {
      resourceVersion?: string;
      managedFields?: unknown;
    };
    delete metadata.resourceVersion;
    delete metadata.managedFields;
    for (const owner of metadata.ownerReferences ?? [])
      owner.uid = owners.get(`${namespace}/${owner.name}`) ?? owner.uid;
    const made = await transport.json<Made>({ method: "POST", path: folder, body: { ...object, metadata } });
    owners.set(`${namespace ?? ""}/${made.metadata.name}`, made.metadata.uid);
    if (object.status !== undefined) {
      await transport.json({
        method: "PATCH",
        path: `${folder}/${made.metadata.name}/status`,
        body: { status: object.status },
        contentType: "application/merge-patch+json",
      });
    }
    return made;
  };
  const forAll = async (
    name: string,
    collection: string,
    change: (object: Made) => Made = (it) => it,
  ): Promise<void> => {
    const list = all[name];
    if (list === undefined) throw new Error(`no collection ${name}`);
    const indices = Array.from({ length: list.length }, (_, index) => index).values();
    const work = async (): Promise<void> => {
      for (const index of indices) await create(collection, change(list.at(index) as Made));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  };
  await forAll("/api/v1/namespaces", "/api/v1/namespaces");
  // what the controller manager would make in each namespace
  await forAll("/api/v1/namespaces", "/api/v1/serviceaccounts", ({ metadata }) => ({
    metadata: { name: "default", namespace: metadata.name, uid: "" },
  }));
  await forAll("/api/v1/nodes", "/api/v1/nodes");
  await forAll("/apps/v1/deployments", "/apis/apps/v1/deployments");
  await forAll("/apps/v1/replicasets", "/apis/apps/v1/replicasets");
  await forAll("/policy/v1/poddisruptionbudgets", "/apis/policy/v1/poddisruptionbudgets");
  await forAll("/api/v1/pods", "/api/v1/pods", (pod) => {
    const { serviceAccountName: _, ...spec } = pod.spec ?? {};
    return { ...pod, spec: { ...spec, automountServiceAccountToken: false } };
  });
}
