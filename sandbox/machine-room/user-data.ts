/**
 * User data as the real bootstrap reads it: nodeadm's NodeConfig (AL2023) and Bottlerocket's settings.
 * A mistake that keeps a real instance from joining is an error here too, and the machine room shows its text.
 */

import { gunzipSync } from "node:zlib";
import { loadYaml } from "@kubernetes/client-node";
import type { OsFamily } from "../images.ts";
import { parseToml, type TomlTable } from "./toml.ts";

export interface NodeTaint {
  key: string;
  value?: string;
  effect: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
}
/** What an instance would join with. */
export interface Bootstrap {
  cluster: string;
  endpoint: string;
  /** base64 of the PEM */
  certificateAuthority: string;
  labels: Record<string, string>;
  taints: NodeTaint[];
  maxPods?: number;
}

/** @param base64 user data as EC2 holds it. @throws Error with the reason why the bootstrap would fail. */
export function readUserData(base64: string | null | undefined, os: OsFamily): Bootstrap {
  if (!base64) throw new Error("no user data: the instance does not know its cluster");
  let bytes = Buffer.from(base64, "base64");
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = gunzipSync(bytes);
  const text = bytes.toString("utf8");
  return os === "bottlerocket" ? bottlerocket(text) : nodeadm(text);
}

// ---- AL2023: nodeadm (https://awslabs.github.io/amazon-eks-ami/nodeadm/) ----

interface NodeConfig {
  apiVersion?: string;
  kind?: string;
  spec?: {
    cluster?: { name?: string; apiServerEndpoint?: string; certificateAuthority?: string; cidr?: string };
    kubelet?: { flags?: string[]; config?: Record<string, unknown> };
  };
}

/** Parts of a MIME multipart message: content type and body. One level, as cloud-init's examples have it. */
export function mimeParts(text: string): { type: string; body: string }[] {
  const boundary = /^content-type:\s*multipart\/[^;\n]*;[^\n]*?boundary="?([^"\n;]+?)"?\s*$/im.exec(
    headOf(text),
  )?.[1];
  if (boundary === undefined) return [];
  return text
    .replaceAll("\r\n", "\n")
    .split(`--${boundary}`)
    .slice(1)
    .filter((part) => !part.startsWith("--"))
    .map((part) => {
      const trimmed = part.replace(/^[ \t]*\n/, "");
      const end = trimmed.indexOf("\n\n");
      const head = end < 0 ? trimmed : trimmed.slice(0, end);
      const raw = end < 0 ? "" : trimmed.slice(end + 2);
      const encoded = /^content-transfer-encoding:\s*base64/im.test(head);
      return {
        type: (/^content-type:\s*([^;\s]+)/im.exec(head)?.[1] ?? "text/plain").toLowerCase(),
        body: encoded ? Buffer.from(raw, "base64").toString("utf8") : raw,
      };
    });
}

const headOf = (text: string): string => text.replaceAll("\r\n", "\n").split("\n\n", 1)[0] ?? "";

function nodeadm(text: string): Bootstrap {
  const parts = mimeParts(text);
  const bodies =
    parts.length > 0
      ? parts.filter((p) => p.type === "application/node.eks.aws").map((p) => p.body)
      : /kind["']?\s*:\s*["']?NodeConfig/.test(text)
        ? [text]
        : [];
  if (bodies.length === 0) throw new Error("the user data holds no NodeConfig (application/node.eks.aws)");
  const flags: string[] = [];
  const cluster: NonNullable<NonNullable<NodeConfig["spec"]>["cluster"]> = {};
  const kubelet: Record<string, unknown> = {};
  for (const body of bodies) {
    const config: NodeConfig = loadYaml(body);
    if (config?.kind !== "NodeConfig" || config.apiVersion !== "node.eks.aws/v1alpha1")
      throw new Error(
        `nodeadm knows node.eks.aws/v1alpha1 NodeConfig, not ${config?.apiVersion} ${config?.kind}`,
      );
    Object.assign(cluster, config.spec?.cluster);
    flags.push(...(config.spec?.kubelet?.flags ?? []));
    Object.assign(kubelet, config.spec?.kubelet?.config);
  }
  if (!cluster.name) throw new Error("nodeadm: Name is missing in cluster configuration");
  if (!cluster.apiServerEndpoint)
    throw new Error("nodeadm: Apiserver endpoint is missing in cluster configuration");
  if (!cluster.certificateAuthority)
    throw new Error("nodeadm: Certificate authority is missing in cluster configuration");
  if (!cluster.cidr) throw new Error("nodeadm: CIDR is missing in cluster configuration");
  const fromFlags = kubeletFlags(flags);
  const configured = (kubelet["registerWithTaints"] ?? []) as NodeTaint[];
  return {
    cluster: cluster.name,
    endpoint: cluster.apiServerEndpoint,
    certificateAuthority: cluster.certificateAuthority,
    labels: checkLabels(fromFlags.labels),
    taints: uniqueTaints([...configured, ...fromFlags.taints]),
    ...(typeof kubelet["maxPods"] === "number" ? { maxPods: kubelet["maxPods"] } : {}),
  };
}

function kubeletFlags(flags: string[]): { labels: Record<string, string>; taints: NodeTaint[] } {
  const labels: Record<string, string> = {};
  const taints: NodeTaint[] = [];
  for (const flag of flags) {
    const [, name, value] = /^--([a-z-]+)[= ](.*)$/s.exec(flag) ?? [];
    if (name === undefined || value === undefined) throw new Error(`kubelet: cannot read the flag ${flag}`);
    if (name === "node-labels") for (const pair of list(value)) labels[before(pair, "=")] = after(pair, "=");
    if (name === "register-with-taints") for (const item of list(value)) taints.push(parseTaint(item));
  }
  return { labels, taints };
}

const list = (text: string): string[] =>
  text
    .replace(/^["']|["']$/g, "")
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "");
const before = (text: string, mark: string): string =>
  text.includes(mark) ? text.slice(0, text.indexOf(mark)) : text;
const after = (text: string, mark: string): string =>
  text.includes(mark) ? text.slice(text.indexOf(mark) + 1) : "";

/** `key=value:Effect` or `key:Effect`. */
export function parseTaint(text: string): NodeTaint {
  const effect = text.slice(text.lastIndexOf(":") + 1);
  const rest = text.slice(0, Math.max(0, text.lastIndexOf(":")));
  if (effect !== "NoSchedule" && effect !== "PreferNoSchedule" && effect !== "NoExecute")
    throw new Error(`kubelet: ${text} is not a taint (key=value:Effect)`);
  const value = after(rest, "=");
  return { key: before(rest, "="), ...(value ? { value } : {}), effect };
}

/** The kubelet does not start with labels of Kubernetes' own domains that are not on its list. */
function checkLabels(labels: Record<string, string>): Record<string, string> {
  const known = new Set([
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
  ]);
  for (const [key, value] of Object.entries(labels)) {
    const domain = key.includes("/") ? before(key, "/") : "";
    const reserved = /(^|\.)(kubernetes|k8s)\.io$/.test(domain);
    const allowed = known.has(key) || /(^|\.)(node|kubelet)\.kubernetes\.io$/.test(domain);
    if (reserved && !allowed)
      throw new Error(`kubelet: unknown 'kubernetes.io' or 'k8s.io' label in --node-labels: ${key}`);
    if (value.length > 63 || !/^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/.test(value))
      throw new Error(`kubelet: invalid value of the label ${key}: ${value}`);
  }
  return labels;
}

function uniqueTaints(taints: NodeTaint[]): NodeTaint[] {
  return [...new Map(taints.map((t) => [`${t.key}:${t.effect}`, t])).values()];
}

// ---- Bottlerocket (https://bottlerocket.dev, settings.kubernetes) ----

function bottlerocket(text: string): Bootstrap {
  const root = parseToml(text);
  const kubernetes = table(table(root, "settings"), "kubernetes");
  const need = (key: string): string => {
    const value = kubernetes[key];
    if (typeof value !== "string" || value === "")
      throw new Error(`Bottlerocket: settings.kubernetes.${key} is missing`);
    return value;
  };
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(table(kubernetes, "node-labels"))) {
    if (typeof value !== "string") throw new Error(`Bottlerocket: the label ${key} is not a string`);
    labels[key] = value;
  }
  const taints = Object.entries(table(kubernetes, "node-taints")).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((item) => {
      if (typeof item !== "string") throw new Error(`Bottlerocket: the taint ${key} is not a string`);
      const [, itemValue, effect] = /^([^:]*):([A-Za-z]+)$/.exec(item) ?? [];
      if (effect === undefined) throw new Error(`Bottlerocket: ${item} is not value:Effect`);
      return parseTaint(itemValue ? `${key}=${itemValue}:${effect}` : `${key}:${effect}`);
    }),
  );
  const maxPods = kubernetes["max-pods"];
  return {
    cluster: need("cluster-name"),
    endpoint: need("api-server"),
    certificateAuthority: need("cluster-certificate"),
    labels: checkLabels(labels),
    taints: uniqueTaints(taints),
    ...(typeof maxPods === "number" ? { maxPods } : {}),
  };
}

function table(parent: TomlTable, key: string): TomlTable {
  const value = parent[key] ?? {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new Error(`Bottlerocket: ${key} is not a table`);
  return value;
}
