import { COMPONENT } from "../names.ts";
import { ApiError, type Cluster, type Selection } from "./cluster.ts";
import { classifyEviction } from "./eviction.ts";
import { list } from "./list.ts";
import { resourcePath, selectionQuery, typeOf } from "./paths.ts";
import { slimmer } from "./slim.ts";
import { parseStatus, refusal } from "./status.ts";
import {
  Transport,
  type Answer,
  type Credentials,
  type Request,
  type TransportOptions,
} from "./transport.ts";
import type { Kind, Kinds } from "./types.ts";
import { openCache } from "./watch.ts";

/** The API server over plain REST. @param kc from connect (kubeconfig.ts), or any KubeConfig with a current context. */
export function createCluster(kc: Credentials, options: TransportOptions): Cluster {
  const transport = new Transport(kc, options);
  /** The server gives up when we do, so that a write does not happen after it was reported as failed. */
  const writing = `fieldManager=${COMPONENT}&timeout=${Math.ceil(options.requestTimeoutSeconds)}s`;

  return {
    async serverVersion() {
      return (await transport.json<{ gitVersion: string }>({ method: "GET", path: "/version" })).gitVersion;
    },
    serverTime: () => transport.serverTime(),
    async get<K extends Kind>(kind: K, name: string, namespace?: string) {
      try {
        return await transport.json<Kinds[K]>({ method: "GET", path: resourcePath(kind, namespace, name) });
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },
    read: (path) => transport.json<object>({ method: "GET", path, behind: true }),
    async visit(path, signal) {
      const { code, body } = await transport.visit(path, signal);
      const status = code < 400 ? undefined : parseStatus(body);
      const { reason = "", message = "" } = status ?? {};
      return { status: code, body, refusal: status === undefined ? undefined : { reason, message } };
    },
    async list<K extends Kind>(kind: K, selection: Selection = {}) {
      const path = resourcePath(kind, selection.namespace);
      const { items } = await list<Kinds[K]>(transport, path, selectionQuery(selection), slimmer(kind));
      return items;
    },
    watch<K extends Kind>(kind: K, selection: Selection = {}) {
      const path = resourcePath(kind, selection.namespace);
      return openCache<Kinds[K]>(transport, options.clock, path, selectionQuery(selection), slimmer(kind));
    },
    create<K extends Kind>(kind: K, object: Parameters<Cluster["create"]>[1]) {
      const path = `${resourcePath(kind, object.metadata.namespace)}?${writing}`;
      return transport.json<Kinds[K]>({ method: "POST", path, body: { ...typeOf(kind), ...object } });
    },
    patch<K extends Kind>(kind: K, name: string, namespace: string | undefined, body: object) {
      const path = `${resourcePath(kind, namespace, name)}?${writing}`;
      const contentType = "application/merge-patch+json";
      return transport.json<Kinds[K]>({ method: "PATCH", path, body, contentType });
    },
    async remove(kind, name, namespace) {
      try {
        await transport.json<object>({ method: "DELETE", path: resourcePath(kind, namespace, name) });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
    async evict({ name, namespace, uid }, { dryRun = false } = {}) {
      const body = {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name, namespace },
        deleteOptions: { preconditions: { uid }, ...(dryRun ? { dryRun: ["All"] } : {}) },
      };
      const query = dryRun ? `${writing}&dryRun=All` : writing;
      const path = `${resourcePath("Pod", namespace, name)}/eviction?${query}`;
      // one attempt: whether to ask again is decided with the Lease in hand, not in here
      const request: Request = { method: "POST", path, body, retryThrottled: false, retryRefused: false };
      let answer: Answer;
      try {
        answer = await transport.ask(request);
      } catch (error) {
        // no answer: the pod may be evicted or not. The watch tells, and asking again does no harm (UID precondition).
        if (error instanceof ApiError && error.status === 0)
          return { outcome: "refused", status: 0, message: error.message };
        throw error;
      }
      const { code, retryAfter, body: text } = answer;
      if (code === 401) throw refusal(`POST eviction of ${namespace}/${name}`, code, retryAfter, text);
      return classifyEviction(code, retryAfter, text);
    },
  };
}

/** Of the API server itself: a proxy's 404 says nothing about the object. */
const isNotFound = (error: unknown): boolean =>
  error instanceof ApiError && error.status === 404 && error.reason === "NotFound";
