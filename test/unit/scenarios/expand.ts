import {
  type KubeObject,
  type Kinds,
  type ObjectMeta,
  type OwnerReference,
  type Pod,
  type PodDisruptionBudget,
  type PodTemplate,
  type ReplicaOwner,
  RESOURCES,
} from "../../../rollout/cluster/types.ts";
import { CONTEXT_KINDS, CORE_KINDS, type PictureKind } from "../../../rollout/picture.ts";
import { budgetStatus } from "../../simulated/disruption.ts";
import { csiNodeOf, nodeNamed, SINCE } from "./defaults.ts";
import { type Doc, type Json, merge, type PodEntry, withoutNulls } from "./merge.ts";
import { Objects } from "./objects.ts";
import { podOf } from "./pod.ts";
import { addStorage, STORAGE_CLASSES } from "./storage.ts";

const PICTURE_KINDS: readonly string[] = [...CORE_KINDS, ...CONTEXT_KINDS];
const CLUSTER_WIDE = new Set(
  Object.entries(RESOURCES).flatMap(([kind, { namespaced }]) => (namespaced ? [] : [kind])),
);
/** The hash in the name of a Deployment's ReplicaSet. */
const HASH = "7c9d8f6b5d";

/** A scenario's objects, with what is the same in every cluster filled in. */
export function expand(docs: Doc[], nodes: string[]): Partial<{ [K in PictureKind]: readonly Kinds[K][] }> {
  const objects = new Objects();
  for (const doc of docs) {
    if (PICTURE_KINDS.includes(doc.kind)) objects.add(doc.kind, objectOf(doc));
    else if (doc.pods === undefined)
      throw new Error(`${doc.kind} ${doc.metadata.name}: nothing reads this kind, and it makes no pods`);
  }
  for (const name of new Set([...nodes, ...objects.all("Node").map(({ metadata }) => metadata.name)])) {
    const zone = objects.get("Node", name)?.metadata.labels?.["topology.kubernetes.io/zone"];
    objects.add("Node", nodeNamed(name, zone));
  }
  for (const node of objects.all("Node")) objects.add("CSINode", csiNodeOf(node));
  for (const storageClass of STORAGE_CLASSES) objects.add("StorageClass", storageClass);
  objects.add("CSIDriver", {
    metadata: { name: "ebs.csi.aws.com", uid: "uid-csidriver-ebs" },
    ...{ spec: { attachRequired: true } },
  });
  for (const doc of docs) makePods(objects, doc);
  addStorage(objects);
  for (const pod of objects.all("Pod")) {
    const { namespace = "default" } = pod.metadata;
    objects.add("Namespace", {
      metadata: {
        name: namespace,
        uid: `uid-ns-${namespace}`,
        labels: { "kubernetes.io/metadata.name": namespace },
      },
      ...{ status: { phase: "Active" } },
    });
  }
  for (const budget of objects.all("PodDisruptionBudget"))
    objects.add("PodDisruptionBudget", {
      ...budget,
      status: budgetStatus(objects, budget),
    } as PodDisruptionBudget);
  return Object.fromEntries(
    PICTURE_KINDS.map((kind) => [kind, objects.all(kind as PictureKind).map(withoutNulls)]),
  );
}

const uidOf = (kind: string, namespace: string | undefined, name: string): string =>
  `uid-${kind.toLowerCase()}-${namespace ?? ""}-${name}`;

function objectOf({
  kind,
  metadata,
  ownedBy,
  spec,
  status,
  pods: _,
  template: __,
  ...rest
}: Doc): KubeObject {
  if (kind === "Pod") return podOf({ metadata: metaOf(kind, metadata, ownedBy), spec, status });
  return {
    ...rest,
    metadata: metaOf(kind, metadata, ownedBy),
    ...(spec === undefined ? {} : { spec }),
    ...(status === undefined ? {} : { status }),
  };
}

function metaOf(kind: string, metadata: Doc["metadata"], ownedBy?: string): ObjectMeta {
  const namespace = CLUSTER_WIDE.has(kind) ? undefined : (metadata.namespace ?? "default");
  const owner = ownedBy === undefined ? {} : { ownerReferences: [ownerOf(ownedBy, namespace)] };
  return {
    uid: uidOf(kind, namespace, metadata.name),
    creationTimestamp: SINCE,
    generation: 1,
    ...owner,
    ...metadata,
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** `Deployment/web`, `postgresql.cnpg.io/v1/Cluster/pg`. */
function ownerOf(text: string, namespace: string | undefined): OwnerReference {
  const parts = text.split("/");
  const [kind = "", name = ""] = parts.slice(-2);
  const group = kind === "Job" || kind === "CronJob" ? "batch/v1" : kind === "Node" ? "v1" : "apps/v1";
  const apiVersion = parts.length > 2 ? parts.slice(0, -2).join("/") : group;
  return {
    apiVersion,
    kind,
    name,
    uid: uidOf(kind, kind === "Node" ? undefined : namespace, name),
    controller: true,
  };
}

/** A workload's pods, and the ReplicaSet between a Deployment and its pods. */
function makePods(objects: Objects, doc: Doc): void {
  const { kind, metadata, pods } = doc;
  if (pods === undefined || kind === "Pod") return;
  const { name, namespace = "default" } = metadata;
  const template = templateOf(doc);
  const labels = template.metadata?.labels ?? {};
  const selector = { matchLabels: labels };
  const deployment = kind === "Deployment";
  const setName = deployment ? `${name}-${HASH}` : name;
  const own = deployment ? { ...labels, "pod-template-hash": HASH } : labels;
  const ownedBy = deployment ? `ReplicaSet/${setName}` : ownerText(doc);
  const made = pods.map((entry, index) => {
    const {
      node,
      name: podName,
      labels: special,
      ...rest
    }: Exclude<PodEntry, string> = typeof entry === "string" ? { node: entry } : entry;
    const label: Record<string, string> =
      kind === "StatefulSet" ? { "statefulset.kubernetes.io/pod-name": `${name}-${index}` } : {};
    const base: Pod = {
      metadata: metaOf(
        "Pod",
        {
          name: podName ?? `${setName}-${kind === "StatefulSet" ? index : index + 1}`,
          namespace,
          labels: { ...own, ...label, ...special },
          ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
        },
        ownedBy,
      ),
      spec: {
        containers: [
          {
            name,
            image: `registry.example/${name}:1`,
            resources: { requests: { cpu: "100m", memory: "128Mi" } },
          },
        ],
        ...(kind === "Job" && { restartPolicy: "Never" }),
        ...template.spec,
        ...(node === undefined || node === "none" ? {} : { nodeName: node }),
      },
    };
    const claims = (doc.spec?.volumeClaimTemplates ?? []) as { metadata: { name: string } }[];
    const volumes = claims.map(({ metadata: claim }) => ({
      name: claim.name,
      persistentVolumeClaim: { claimName: `${claim.name}-${name}-${index}` },
    }));
    const pod =
      volumes.length === 0
        ? base
        : merge(base, { spec: { volumes: [...(base.spec?.volumes ?? []), ...volumes] } });
    return podOf(merge(pod, rest));
  });
  for (const pod of made) objects.add("Pod", pod);
  if (!PICTURE_KINDS.includes(kind)) return;
  const ready = made.filter(
    ({ metadata: { deletionTimestamp }, status }) =>
      deletionTimestamp === undefined &&
      status?.conditions?.some((it) => it.type === "Ready" && it.status === "True"),
  ).length;
  if (kind === "DaemonSet") {
    const status = {
      desiredNumberScheduled: made.length,
      currentNumberScheduled: made.length,
      numberReady: ready,
    };
    objects.add(kind, {
      ...bare(kind, metadata),
      ...({ spec: { selector, template }, status: { ...status, observedGeneration: 1 } } as Json),
    });
    return;
  }
  const replicas =
    (doc.spec?.replicas as number | undefined) ??
    (deployment || kind === "StatefulSet" || kind === "ReplicaSet" ? 1 : undefined);
  const status: ReplicaOwner["status"] = {
    replicas: made.filter(({ metadata: { deletionTimestamp } }) => deletionTimestamp === undefined).length,
    readyReplicas: ready,
    observedGeneration: 1,
    ...(kind === "StatefulSet" && { currentRevision: `${name}-1`, updateRevision: `${name}-1` }),
  };
  const spec = { ...(replicas === undefined ? {} : { replicas }), selector, template };
  objects.add(kind, { ...bare(kind, metadata), ...({ spec, status } as Json) });
  if (!deployment) return;
  objects.add("ReplicaSet", {
    metadata: metaOf("ReplicaSet", { name: setName, namespace, labels: own }, `Deployment/${name}`),
    ...({ spec: { ...spec, selector: { matchLabels: own } }, status } as Json),
  });
}

const bare = (kind: string, metadata: Doc["metadata"]): KubeObject => ({ metadata: metaOf(kind, metadata) });

const ownerText = ({ apiVersion, kind, metadata: { name } }: Doc): string =>
  apiVersion === undefined ? `${kind}/${name}` : `${apiVersion}/${kind}/${name}`;

/** A workload's template; where none is written, pods carry the selector's labels, or `app`. */
function templateOf({ metadata: { name }, spec = {}, template }: Doc): PodTemplate {
  const given = template ?? (spec.template as PodTemplate | undefined) ?? {};
  const selected = (spec.selector as { matchLabels?: Record<string, string> } | undefined)?.matchLabels;
  return { ...given, metadata: { labels: selected ?? { app: name }, ...given.metadata } };
}
