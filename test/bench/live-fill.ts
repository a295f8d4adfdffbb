/** Writes the synthetic cluster to a real API server; nothing else runs in it that could change it. */
import type { Transport } from "../../rollout/cluster/transport.ts";
import { collections, type Size } from "./synthetic.ts";

const AT_ONCE = 32;

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

export async function fill(transport: Transport, size: Size): Promise<void> {
  const all = collections(size);
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
