/** Configuration files of the control plane: kubeconfigs, static tokens, token webhook, audit policy, KWOK's. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { certificatePaths } from "./certificates.ts";
import { users, type SandboxState, type User } from "./state.ts";

export function apiUrl(state: SandboxState): string {
  return `https://127.0.0.1:${state.ports.api}`;
}

/** The kubeconfig of a user. The administrator's stands at the top of the state folder: people use that one. */
export function kubeconfigPath(dir: string, user: User): string {
  return user === "admin" ? join(dir, "kubeconfig") : join(dir, "config", `${user}.kubeconfig`);
}

/** Name under which the API server knows a user, and its groups. */
const identities: Record<User, { name: string; groups: string[] }> = {
  admin: { name: "admin", groups: ["system:masters"] },
  "machine-room": { name: "sandbox:machine-room", groups: ["system:masters"] },
  kwok: { name: "sandbox:kwok", groups: ["system:masters"] },
  // the names for which Kubernetes itself brings the roles
  "kube-controller-manager": { name: "system:kube-controller-manager", groups: [] },
  "kube-scheduler": { name: "system:kube-scheduler", groups: [] },
};

function kubeconfig(state: SandboxState, dir: string, user: User): string {
  const ca = readFileSync(certificatePaths(dir).ca).toString("base64");
  return JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "sandbox", cluster: { server: apiUrl(state), "certificate-authority-data": ca } }],
      users: [{ name: user, user: { token: state.tokens[user] } }],
      contexts: [{ name: "sandbox", context: { cluster: "sandbox", user, namespace: "default" } }],
      "current-context": "sandbox",
    },
    null,
    2,
  );
}

/** TokenReview webhook: the machine room answers for EKS tokens. It may start after the API server. */
function webhookKubeconfig(state: SandboxState): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "machine-room",
        cluster: { server: `http://127.0.0.1:${state.ports.machineRoom}/-/authenticate` },
      },
    ],
    users: [{ name: "api-server", user: {} }],
    contexts: [{ name: "webhook", context: { cluster: "machine-room", user: "api-server" } }],
    "current-context": "webhook",
  });
}

const writeVerbs = ["create", "update", "patch", "delete", "deletecollection"];
const core = (...resources: string[]): object => ({ group: "", resources });

/**
 * Who wrote what, with user agent; bodies too for what a judge of disruptions needs (evictions, pod deletions, nodes,
 * run state). Left out: the noise of fake kubelets and of the control plane's own Events.
 * With SANDBOX_AUDIT_READS also what the administrator's programs read: the bench counts requests.
 */
const auditPolicy = (knobs: SandboxState["knobs"]) => ({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "None", namespaces: ["kube-node-lease"] },
    {
      level: "None",
      users: [identities.kwok.name],
      resources: [core("nodes/status", "pods/status", "events")],
    },
    {
      level: "None",
      users: [identities["kube-scheduler"].name, identities["kube-controller-manager"].name],
      resources: [core("events"), { group: "events.k8s.io", resources: ["events"] }],
    },
    {
      level: "None",
      userGroups: ["system:serviceaccounts:kube-system"],
      resources: [
        core("events"),
        { group: "events.k8s.io", resources: ["events"] },
        { group: "discovery.k8s.io" },
      ],
    },
    { level: "None", users: ["system:apiserver"] },
    { level: "Request", verbs: writeVerbs, resources: [core("pods/eviction", "nodes", "configmaps")] },
    { level: "Request", verbs: ["delete", "deletecollection"], resources: [core("pods")] },
    { level: "Metadata", verbs: writeVerbs },
    ...(knobs["SANDBOX_AUDIT_READS"] === undefined
      ? []
      : [{ level: "Metadata", users: [identities.admin.name], verbs: ["get", "list", "watch"] }]),
    { level: "None" },
  ],
});

export interface ControlPlaneFiles {
  tokens: string;
  webhook: string;
  auditPolicy: string;
  auditLog: string;
  /** All Stage files joined with KWOK's own configuration. */
  kwokConfig: string;
}

export function controlPlaneFiles(dir: string): ControlPlaneFiles {
  const config = join(dir, "config");
  return {
    tokens: join(config, "tokens.csv"),
    webhook: join(config, "token-webhook.kubeconfig"),
    auditPolicy: join(config, "audit-policy.json"),
    auditLog: join(dir, "logs", "audit.log"),
    kwokConfig: join(config, "kwok.yaml"),
  };
}

/** Writes every configuration file. `stages` is the folder with the Stage files. */
export function writeControlPlaneFiles(dir: string, state: SandboxState, stages: string): ControlPlaneFiles {
  const files = controlPlaneFiles(dir);
  mkdirSync(join(dir, "config"), { recursive: true, mode: 0o700 });
  mkdirSync(join(dir, "logs"), { recursive: true });
  const write = (path: string, text: string): void => writeFileSync(path, text, { mode: 0o600 });
  const token = (user: User): string => {
    const { name, groups } = identities[user];
    return `${state.tokens[user]},${name},${name},"${groups.join(",")}"`;
  };
  write(files.tokens, users.map(token).join("\n") + "\n");
  for (const user of users) write(kubeconfigPath(dir, user), kubeconfig(state, dir, user) + "\n");
  write(files.webhook, webhookKubeconfig(state) + "\n");
  write(files.auditPolicy, JSON.stringify(auditPolicy(state.knobs), null, 2) + "\n");

  const yaml = readdirSync(stages)
    .filter((file) => file.endsWith(".yaml"))
    .sort()
    .map((file) => readFileSync(join(stages, file), "utf8").trim());
  write(files.kwokConfig, yaml.join("\n---\n") + "\n");
  return files;
}
