/** One sort of request and how many of it were sent, repetitions included. */
export interface KubernetesRequests {
  /** As the API server's own metrics name them (get, list, watch, create, patch, delete), and `dry-run` for an eviction that changes nothing. */
  verb: string;
  /** `pods`, `pods/eviction`; a path that is no resource's, as it is (`/version`). */
  resource: string;
  count: number;
}

export interface CloudRequests {
  /** The SDK's name of the client: `EKS`, `Auto Scaling`. */
  service: string;
  /** `DescribeNodegroup` */
  action: string;
  count: number;
}

const VERBS: Record<string, string> = { POST: "create", PATCH: "patch", DELETE: "delete" };

/** Counts what a run asks of the cluster and of the cloud. */
export class RequestCounts {
  private readonly kubernetes = new Map<string, KubernetesRequests>();
  private readonly clouds = new Map<string, CloudRequests>();

  /** @param path with its query, from the API server's root */
  toKubernetes(method: string, path: string): void {
    const { verb, resource } = requestOf(method, path);
    const key = `${verb} ${resource}`;
    const known = this.kubernetes.get(key) ?? { verb, resource, count: 0 };
    this.kubernetes.set(key, { ...known, count: known.count + 1 });
  }

  toCloud(service: string, action: string): void {
    const key = `${service} ${action}`;
    const known = this.clouds.get(key) ?? { service, action, count: 0 };
    this.clouds.set(key, { ...known, count: known.count + 1 });
  }

  /** In a stable order. */
  counts(): { kubernetes: KubernetesRequests[]; cloud: CloudRequests[] } {
    const inOrder = <T>(map: Map<string, T>): T[] =>
      [...map].toSorted(([a], [b]) => a.localeCompare(b)).map(([, entry]) => entry);
    return { kubernetes: inOrder(this.kubernetes), cloud: inOrder(this.clouds) };
  }
}

/** What a request to the API server is, by its method and path (https://kubernetes.io/docs/reference/using-api/api-concepts/). */
export function requestOf(method: string, path: string): { verb: string; resource: string } {
  const { pathname, searchParams } = new URL(path, "http://api");
  const parts = pathname.split("/").filter((part) => part !== "");
  const rest = parts[0] === "api" ? parts.slice(2) : parts[0] === "apis" ? parts.slice(3) : [];
  const inNamespace = rest[0] === "namespaces" && rest.length > 2;
  const [plural, name, sub] = inNamespace ? rest.slice(2) : rest;
  const verb = VERBS[method] ?? "get";
  if (plural === undefined) return { verb, resource: pathname };
  const resource = sub === undefined ? plural : `${plural}/${sub}`;
  if (searchParams.get("dryRun") !== null) return { verb: "dry-run", resource };
  if (verb !== "get" || name !== undefined) return { verb, resource };
  return { verb: searchParams.get("watch") === null ? "list" : "watch", resource };
}
