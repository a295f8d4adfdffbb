import type { Container, Kind, Kinds, Node, Pod, ReplicaOwner } from "./types.ts";

/**
 * Drops, as soon as an object is read, what types.ts does not know and what is large: with a hundred thousand pods it decides between
 * 200 MB and 2 GB. Parts that many objects have alike (labels of a ReplicaSet's pods, say) are kept once. Only ever for reading: a write
 * is a merge patch of the fields that it changes.
 */
export function slimmer<K extends Kind>(kind: K): (object: Kinds[K]) => Kinds[K] {
  const shared = new Shared();
  return (object) => {
    const { metadata } = object;
    // who scaled a Deployment or StatefulSet is read from it; elsewhere nobody asks
    if (kind !== "Deployment" && kind !== "StatefulSet") delete metadata.managedFields;
    const { annotations } = metadata;
    if (annotations !== undefined) delete annotations["kubectl.kubernetes.io/last-applied-configuration"];
    if (kind === "Pod") slimPod(object as Pod, shared);
    if (kind === "Node") delete ((object as Node).status as { images?: unknown } | undefined)?.images;
    // its Deployment has the same
    if (kind === "ReplicaSet") slimTemplate(object as ReplicaOwner);
    return object;
  };
}

function slimTemplate({ spec }: ReplicaOwner): void {
  const labels = spec?.template?.metadata?.labels;
  if (spec !== undefined) spec.template = { metadata: { labels } };
}

function slimPod(pod: Pod, shared: Shared): void {
  const { metadata, spec, status } = pod;
  metadata.labels = shared.one(metadata.labels);
  metadata.ownerReferences = shared.one(metadata.ownerReferences);
  if (spec !== undefined) {
    spec.containers = shared.one(spec.containers?.map(slimContainer));
    spec.initContainers = shared.one(spec.initContainers?.map(slimContainer));
    // the API server gives every pod a token volume; nobody reads it
    spec.volumes = shared.one(spec.volumes?.filter((volume) => !("projected" in volume)));
    spec.tolerations = shared.one(spec.tolerations);
    spec.affinity = shared.one(spec.affinity);
    spec.topologySpreadConstraints = shared.one(spec.topologySpreadConstraints);
    spec.nodeSelector = shared.one(spec.nodeSelector);
    const rest = spec as Record<string, unknown>;
    for (const field of ["securityContext", "imagePullSecrets", "serviceAccount", "dnsConfig", "hostAliases"])
      delete rest[field];
  }
  if (status !== undefined) {
    const rest = status as Record<string, unknown>;
    for (const field of ["podIPs", "hostIPs", "hostIP", "qosClass", "ephemeralContainerStatuses"])
      delete rest[field];
    // in the middle of a resize (KEP-1287) a container may hold more than its spec asks for; else the two are alike
    const resizing = status.conditions?.some(({ type }) => type.startsWith("PodResize")) === true;
    const fields = ["imageID", "containerID", "volumeMounts", "user"];
    if (!resizing) fields.push("allocatedResources", "resources");
    for (const it of [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])])
      for (const field of fields) delete (it as unknown as Record<string, unknown>)[field];
  }
}

const slimContainer = ({
  name,
  image,
  command,
  args,
  restartPolicy,
  resources,
  ports,
}: Container): Container => ({
  name,
  image,
  command,
  args,
  restartPolicy,
  resources,
  ports,
});

/** Values that are remembered before the memory is begun anew: a watch that runs for days must not keep what is long gone. */
const REMEMBERED = 50_000;

/** Keeps one of each value, by its JSON. */
class Shared {
  private readonly values = new Map<string, unknown>();
  one<T>(value: T): T {
    if (value === undefined) return value;
    const text = JSON.stringify(value);
    const known = this.values.get(text);
    if (known !== undefined) return known as T;
    if (this.values.size >= REMEMBERED) this.values.clear();
    this.values.set(text, value);
    return value;
  }
}
