import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { KubeConfig, type User } from "@kubernetes/client-node";
import { describeCluster } from "../cloud/eks-cluster.ts";
import { systemClock, type Clock } from "../clock.ts";
import { createEksTokens, type EksTokens } from "./eks-token.ts";

/** Which cluster, and how to get at it. `kubeconfig` is a file (or several, as in KUBECONFIG, which is the default). */
export type ClusterTarget =
  | {
      kind: "eks";
      name: string;
      region: string;
      kubeconfig?: string | undefined;
      context?: string | undefined;
    }
  | { kind: "kubernetes" | "aks"; kubeconfig?: string | undefined; context: string };

/** The kubeconfig does not lead to the cluster that is meant. The message says why and what to do. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

/** The user entry that stands for "tokens made by us". */
const OWN_USER = "patchguard-eks";

/** A KubeConfig whose credentials can be told to renew themselves. */
export class Connection extends KubeConfig {
  private tokens: EksTokens | undefined;

  useTokens(tokens: EksTokens): void {
    this.tokens = tokens;
    this.addAuthenticator({
      isAuthProvider: (user: User) => user.name === OWN_USER,
      applyAuthentication: async (_user, options) => {
        const request = options as { headers?: Record<string, string> };
        (request.headers ??= {})["Authorization"] = `Bearer ${await tokens.get()}`;
      },
    });
  }

  /**
   * Forgets the credential, so that the next request makes or fetches a new one. Call it on a 401.
   * @param authorization the header that was refused; a credential renewed since then is kept.
   */
  invalidate(authorization?: string): void {
    this.tokens?.invalidate(authorization?.replace(/^Bearer /, ""));
    // credentials of an `exec` plugin: client-node keeps them until the time the plugin named, whatever the server says
    const { authenticators } = this as unknown as {
      authenticators?: { tokenCache?: Record<string, unknown> }[];
    };
    for (const authenticator of authenticators ?? [])
      if (authenticator.tokenCache) authenticator.tokenCache = {};
  }
}

/**
 * The way to a cluster. For EKS without a context: endpoint and CA from EKS itself, tokens from the AWS credential chain.
 * With a context: what the kubeconfig says, checked against the cluster that is meant.
 * @throws KubeconfigError (file or context missing, or the context of another cluster), CloudError (EKS cannot be asked).
 */
export async function connect(target: ClusterTarget, clock: Clock = systemClock): Promise<Connection> {
  if (target.kind === "eks" && target.context === undefined) return connectToEks(target, clock);
  const connection = load(target.kubeconfig);
  const context = target.context ?? "";
  const found = connection.contexts.find(({ name }) => name === context);
  if (found === undefined) {
    const names = connection.contexts.map(({ name }) => name).sort();
    throw new KubeconfigError(
      `There is no context ${JSON.stringify(context)} in ${sourceOf(target.kubeconfig)}; there ` +
        `${names.length === 0 ? "are none" : names.length === 1 ? `is ${names[0]}` : `are ${names.join(", ")}`}. ` +
        `Set patchguard:cluster.context to one of them, or add it to the kubeconfig.`,
    );
  }
  connection.setCurrentContext(context);
  const cluster = connection.clusters.find(({ name }) => name === found.cluster);
  if (cluster === undefined || !connection.users.some(({ name }) => name === found.user)) {
    throw new KubeconfigError(
      `Context ${context} in ${sourceOf(target.kubeconfig)} names ${cluster === undefined ? `cluster ${found.cluster}` : `user ${found.user}`}, ` +
        `which is not there. Write the kubeconfig anew, or choose another context.`,
    );
  }
  if (target.kind === "eks") {
    const { endpoint } = await describeCluster(target.name, target.region);
    const { server, tlsServerName } = cluster;
    if (!sameServer(server, endpoint) && tlsServerName !== new URL(endpoint).hostname) {
      throw new KubeconfigError(
        `Wrong context: ${context} points to ${server}, but EKS cluster ${target.name} in ${target.region} is at ${endpoint}. ` +
          `Set patchguard:cluster.context to the context of that cluster, or leave it out.`,
      );
    }
  }
  return connection;
}

async function connectToEks(
  { name, region }: { name: string; region: string },
  clock: Clock,
): Promise<Connection> {
  const { endpoint, caData } = await describeCluster(name, region);
  const connection = new Connection();
  connection.loadFromClusterAndUser(
    { name, server: endpoint, caData, skipTLSVerify: false },
    { name: OWN_USER },
  );
  connection.useTokens(createEksTokens({ clusterName: name, region, clock }));
  return connection;
}

const filesOf = (kubeconfig: string | undefined): string[] => {
  const given = kubeconfig ?? process.env["KUBECONFIG"];
  const files = given ? given.split(delimiter).filter(Boolean) : [join(homedir(), ".kube", "config")];
  return files.map((file) => file.replace(/^~(?=[/\\])/, homedir()));
};

const sourceOf = (kubeconfig: string | undefined): string =>
  `kubeconfig ${filesOf(kubeconfig).join(delimiter)}`;

/** Merges the files as kubectl does: the first to name an entry wins, a missing file counts as empty unless all are missing. */
function load(kubeconfig: string | undefined): Connection {
  const files = filesOf(kubeconfig);
  const there = files.filter((file) => existsSync(file));
  if (there.length === 0) {
    throw new KubeconfigError(
      `The ${sourceOf(kubeconfig)} does not exist. Set patchguard:cluster.kubeconfig or KUBECONFIG to an existing file.`,
    );
  }
  const merged = new Connection();
  for (const file of there) {
    const one = new KubeConfig();
    try {
      one.loadFromFile(file);
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
      throw new KubeconfigError(
        `Kubeconfig ${file} cannot be read: ${reason}. Mend the file, or name another.`,
        { cause: error },
      );
    }
    const add = <T extends { name: string }>(to: T[], from: T[] | undefined): void => {
      for (const entry of from ?? []) if (!to.some(({ name }) => name === entry.name)) to.push(entry);
    };
    add(merged.clusters, one.clusters);
    add(merged.users, one.users);
    add(merged.contexts, one.contexts);
  }
  return merged;
}

function sameServer(a: string, b: string): boolean {
  if (!URL.canParse(a) || !URL.canParse(b)) return false;
  const [left, right] = [new URL(a), new URL(b)]; // URL drops default ports and lower-cases the host
  return (
    left.origin === right.origin && left.pathname.replace(/\/$/, "") === right.pathname.replace(/\/$/, "")
  );
}
