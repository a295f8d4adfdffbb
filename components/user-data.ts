import { dumpYaml } from "@kubernetes/client-node";
import type {
  Al2023UserData,
  AwsPoolConfig,
  BottlerocketUserData,
  FreeForm,
} from "../rollout/config/index.ts";
import { LABEL_GENERATION, LABEL_POOL } from "../rollout/names.ts";
import { toToml } from "./toml.ts";

/** What a node must know of its cluster to join it. */
export interface Bootstrap {
  clusterName: string;
  /** URL of the API server. */
  apiServer: string;
  /** Certificate authority, base64 of PEM. */
  certificateAuthority: string;
  /** Address range of the cluster's services. */
  serviceCidr: string;
}

/** Labels that every node of a pool carries. */
export const nodeLabels = (
  pool: Pick<AwsPoolConfig, "name" | "labels">,
  generation: string,
): Record<string, string> => ({
  ...pool.labels,
  [LABEL_POOL]: pool.name,
  [LABEL_GENERATION]: generation,
});

/**
 * Who tells a node about its cluster: with an EKS-optimized image (`releaseVersion`) of a managed group EKS adds that, the labels
 * and the taints to whatever the template says; with a custom AMI nobody else does
 * (https://docs.aws.amazon.com/eks/latest/userguide/launch-templates.html#launch-template-user-data).
 */
export const joinsByItself = (pool: AwsPoolConfig): boolean =>
  pool.kind === "eks-managed" && "releaseVersion" in pool.image;

/** EC2's limit, before base64. */
const LIMIT = 16 * 1024;

/**
 * The user data of a pool's nodes, as text; undefined where there is none to give.
 * @param bootstrap needed unless EKS does the joining, or the custom text asks for nothing of it
 * @throws Error naming the pool where the text is too long for EC2 or a placeholder has no value
 */
export function userDataOf(
  pool: AwsPoolConfig,
  generation: string,
  bootstrap: Bootstrap | undefined,
): string | undefined {
  const text = render(pool, generation, bootstrap);
  const bytes = Buffer.byteLength(text ?? "");
  if (bytes > LIMIT)
    throw new Error(
      `pool ${pool.name}: its user data has ${bytes} bytes, EC2 takes ${LIMIT}; shorten userData, or fetch the rest at boot`,
    );
  return text;
}

function render(
  pool: AwsPoolConfig,
  generation: string,
  bootstrap: Bootstrap | undefined,
): string | undefined {
  const { userData } = pool;
  const joined = joinsByItself(pool);
  // with a release version and no user data of the user's, the image type says the language
  const family =
    userData?.family ??
    (pool.kind === "eks-managed" && pool.amiType?.startsWith("BOTTLEROCKET") ? "bottlerocket" : "al2023");
  switch (family) {
    case "al2023": {
      const own = userData?.family === "al2023" ? userData : undefined;
      return nodeadm(pool, generation, joined ? undefined : needed(pool, bootstrap), own);
    }
    case "bottlerocket": {
      const own = userData?.family === "bottlerocket" ? userData : undefined;
      return bottlerocket(pool, generation, joined ? undefined : needed(pool, bootstrap), own);
    }
    case "custom":
      return userData?.family === "custom" ? fillIn(userData.text, pool, generation, bootstrap) : undefined;
  }
}

function needed(pool: AwsPoolConfig, bootstrap: Bootstrap | undefined): Bootstrap {
  if (bootstrap !== undefined) return bootstrap;
  throw new Error(
    `pool ${pool.name}: its nodes join an EKS cluster, but nothing is known of one; use custom user data`,
  );
}

const labelText = (pool: AwsPoolConfig, generation: string): string =>
  Object.entries(nodeLabels(pool, generation))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

const taintText = ({ taints }: AwsPoolConfig): string =>
  taints.map(({ key, value, effect }) => `${key}=${value}:${effect}`).join(",");

const BOUNDARY = "==patchguard==";

/**
 * AL2023: a MIME document with a NodeConfig for nodeadm (https://awslabs.github.io/amazon-eks-ami/nodeadm/) and, if there is one,
 * the user's script. Without `bootstrap`, EKS merges a NodeConfig of its own with this one.
 */
function nodeadm(
  pool: AwsPoolConfig,
  generation: string,
  bootstrap: Bootstrap | undefined,
  own: Al2023UserData | undefined,
): string | undefined {
  const config: Record<string, FreeForm> = { ...own?.kubelet };
  if (pool.maxPods !== undefined) config.maxPods = pool.maxPods;
  const flags = [...(own?.kubeletFlags ?? [])];
  if (bootstrap !== undefined) {
    flags.push(`--node-labels=${labelText(pool, generation)}`);
    if (pool.taints.length > 0) flags.push(`--register-with-taints=${taintText(pool)}`);
  }
  const spec = {
    ...(bootstrap === undefined
      ? {}
      : {
          cluster: {
            name: bootstrap.clusterName,
            apiServerEndpoint: bootstrap.apiServer,
            certificateAuthority: bootstrap.certificateAuthority,
            cidr: bootstrap.serviceCidr,
          },
        }),
    ...(Object.keys(config).length + flags.length === 0
      ? {}
      : {
          kubelet: {
            ...(Object.keys(config).length > 0 ? { config } : {}),
            ...(flags.length > 0 ? { flags } : {}),
          },
        }),
    ...(own?.containerd === undefined ? {} : { containerd: { config: own.containerd } }),
    ...(own?.localStorage === undefined
      ? {}
      : { instance: { localStorage: { strategy: own.localStorage } } }),
  };
  const parts = [];
  if (Object.keys(spec).length > 0) {
    const document = { apiVersion: "node.eks.aws/v1alpha1", kind: "NodeConfig", spec };
    parts.push({ type: "application/node.eks.aws", body: dumpYaml(document, { lineWidth: -1 }) });
  }
  if (own?.script !== undefined)
    parts.push({ type: 'text/x-shellscript; charset="us-ascii"', body: own.script });
  return parts.length === 0 ? undefined : mime(parts);
}

function mime(parts: { type: string; body: string }[]): string {
  const sections = parts.map(
    ({ type, body }) => `--${BOUNDARY}\nContent-Type: ${type}\n\n${body.trimEnd()}\n\n`,
  );
  return `MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="${BOUNDARY}"\n\n${sections.join("")}--${BOUNDARY}--\n`;
}

/**
 * Bottlerocket: TOML settings (https://bottlerocket.dev/en/os/latest/#/api/settings/kubernetes/). Without `bootstrap`, EKS merges
 * cluster, labels and taints into them.
 */
function bottlerocket(
  pool: AwsPoolConfig,
  generation: string,
  bootstrap: Bootstrap | undefined,
  own: BottlerocketUserData | undefined,
): string | undefined {
  const { kubernetes, ...rest } = own?.settings ?? {};
  const nodes: Record<string, FreeForm> =
    typeof kubernetes === "object" && !Array.isArray(kubernetes) ? { ...kubernetes } : {};
  if (pool.maxPods !== undefined) nodes["max-pods"] = pool.maxPods;
  if (bootstrap !== undefined) {
    nodes["cluster-name"] = bootstrap.clusterName;
    nodes["api-server"] = bootstrap.apiServer;
    nodes["cluster-certificate"] = bootstrap.certificateAuthority;
    nodes["node-labels"] = nodeLabels(pool, generation);
    const taints = Map.groupBy(pool.taints, ({ key }) => key);
    if (taints.size > 0)
      nodes["node-taints"] = Object.fromEntries(
        Array.from(taints, ([key, list]) => [key, list.map(({ value, effect }) => `${value}:${effect}`)]),
      );
  }
  const settings: Record<string, FreeForm> = {
    ...rest,
    ...(Object.keys(nodes).length > 0 ? { kubernetes: nodes } : {}),
  };
  return Object.keys(settings).length === 0 ? undefined : toToml({ settings });
}

/** The user's own text with its placeholders filled in. */
function fillIn(
  text: string,
  pool: AwsPoolConfig,
  generation: string,
  bootstrap: Bootstrap | undefined,
): string {
  const values: Record<string, string | undefined> = {
    pool: pool.name,
    generation,
    labels: labelText(pool, generation),
    taints: taintText(pool),
    maxPods: pool.maxPods?.toString(),
    ...bootstrap,
  };
  return text.replaceAll(/\{\{([A-Za-z]+)\}\}/g, (_whole, name: string) => {
    const value = values[name];
    if (value === undefined)
      throw new Error(`pool ${pool.name}: userData.text asks for {{${name}}}, which has no value here`);
    return value;
  });
}
