import { ApiError } from "../../rollout/cluster/cluster.ts";
import type { Event, Kind, Kinds, KubeObject, Lease, Node } from "../../rollout/cluster/types.ts";

const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
const LABEL_KEY = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;
const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/**
 * The server's validation, as far as a mistake of the rollout could meet it.
 * @throws ApiError 422 (or 400, where the real server cannot even decode the object)
 */
export function validate<K extends Kind>(kind: K, object: Kinds[K], old: Kinds[K] | undefined): void {
  const { name, labels = {}, annotations = {} } = object.metadata;
  const fail = (why: string): never => {
    throw new ApiError(422, "Invalid", `${kind} "${name}" is invalid: ${why}`);
  };
  if (!NAME.test(name)) fail(`metadata.name: Invalid value: "${name}"`);
  for (const [key, value] of Object.entries(labels)) {
    if (!LABEL_KEY.test(key)) fail(`metadata.labels: Invalid value: "${key}"`);
    if (typeof value !== "string" || !LABEL_VALUE.test(value))
      fail(`metadata.labels: Invalid value: "${String(value)}"`);
  }
  for (const [key, value] of Object.entries(annotations)) {
    if (!LABEL_KEY.test(key)) fail(`metadata.annotations: Invalid value: "${key}"`);
    if (typeof value !== "string") fail(`metadata.annotations: ${key} is not a string`);
  }
  if (JSON.stringify(annotations).length > 262144)
    fail("metadata.annotations: Too long: may not be more than 262144 bytes");
  if (kind === "Node") checkNode(object as Node, old as Node | undefined, fail);
  if (kind === "Lease") checkLease(object as Lease, fail);
  if (kind === "Event") checkEvent(object as Event, fail);
  if (kind === "ConfigMap") checkConfigMap(object, fail);
  if (kind === "Pod" && old !== undefined) checkPod(object as Kinds["Pod"], old as Kinds["Pod"], fail);
}

function checkNode(node: Node, old: Node | undefined, fail: (why: string) => never): void {
  const seen = new Set<string>();
  for (const { key, value, effect } of node.spec?.taints ?? []) {
    if (!EFFECTS.includes(effect)) fail(`spec.taints: Unsupported value: "${effect}"`);
    if (!LABEL_KEY.test(key)) fail(`spec.taints.key: Invalid value: "${key}"`);
    if (!LABEL_VALUE.test(value ?? "")) fail(`spec.taints.value: Invalid value: "${value ?? ""}"`);
    if (seen.has(`${key}:${effect}`)) fail(`spec.taints: Duplicate value: "${key}:${effect}"`);
    seen.add(`${key}:${effect}`);
  }
  if (old?.spec?.providerID && old.spec.providerID !== node.spec?.providerID)
    fail('spec.providerID: Forbidden: node updates may not change providerID except from "" to valid');
}

function checkLease({ spec }: Lease, fail: (why: string) => never): void {
  for (const field of ["acquireTime", "renewTime"] as const) {
    const value = spec?.[field];
    if (value !== undefined && !MICRO_TIME.test(value)) {
      throw new ApiError(
        400,
        "BadRequest",
        `parsing time "${value}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse ${field}`,
      );
    }
  }
  if (spec?.leaseDurationSeconds !== undefined && spec.leaseDurationSeconds <= 0)
    fail("spec.leaseDurationSeconds: must be greater than 0");
  if (spec?.leaseTransitions !== undefined && spec.leaseTransitions < 0)
    fail("spec.leaseTransitions: must be greater than or equal to 0");
}

function checkEvent(event: Event, fail: (why: string) => never): void {
  const about = event.involvedObject.namespace;
  const own = event.metadata.namespace ?? "default";
  if (about === undefined && own !== "default" && own !== "kube-system")
    fail(`involvedObject.namespace: Invalid value: "": does not match event.namespace "${own}"`);
  if (about !== undefined && about !== own)
    fail(`involvedObject.namespace: Invalid value: "${about}": does not match event.namespace "${own}"`);
  if (event.type !== "Normal" && event.type !== "Warning") fail("type: must be Normal or Warning");
}

function checkConfigMap(map: Kinds["ConfigMap"], fail: (why: string) => never): void {
  const entries = Object.entries(map.data ?? {});
  for (const [key, value] of entries) if (typeof value !== "string") fail(`data[${key}]: not a string`);
  if (entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0) > 1048576)
    fail("[]: Too long: may not be more than 1048576 bytes");
}

/** Of a pod's spec hardly anything may change. (Binding sets the node once; the kubelet's status is not the spec.) */
function checkPod(pod: Kinds["Pod"], old: Kinds["Pod"], fail: (why: string) => never): void {
  const fixed = (it: KubeObject): string => {
    const { nodeName: _, tolerations: __, ...rest } = (it as Kinds["Pod"]).spec ?? {};
    return JSON.stringify(rest);
  };
  if (fixed(pod) !== fixed(old))
    fail("spec: Forbidden: pod updates may not change fields other than image, tolerations");
  if (old.spec?.nodeName !== undefined && old.spec.nodeName !== pod.spec?.nodeName)
    fail("spec.nodeName: Forbidden: field is immutable");
}
