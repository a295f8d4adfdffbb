/** One list and watch per kind, kept up across disconnections. A gap that could hide something is reported. */
import type { ApiError, KubeApi, Stream } from "./api.ts";

import { LEASE_NAME, RUN_STATE_PREFIX, STATE_NAMESPACE } from "./names.ts";
import type { Observation } from "./observation.ts";
import type { KubeObject } from "./objects.ts";

interface Source {
  kind: KubeObject["kind"];
  path: string;
  query?: string;
  keep?: (object: KubeObject) => boolean;
}

const SOURCES: Source[] = [
  { kind: "Node", path: "/api/v1/nodes" },
  { kind: "Pod", path: "/api/v1/pods" },
  { kind: "PodDisruptionBudget", path: "/apis/policy/v1/poddisruptionbudgets" },
  { kind: "StatefulSet", path: "/apis/apps/v1/statefulsets" },
  { kind: "ReplicaSet", path: "/apis/apps/v1/replicasets" },
  { kind: "Deployment", path: "/apis/apps/v1/deployments" },
  { kind: "VolumeAttachment", path: "/apis/storage.k8s.io/v1/volumeattachments" },
  { kind: "PersistentVolumeClaim", path: "/api/v1/persistentvolumeclaims" },
  { kind: "PersistentVolume", path: "/api/v1/persistentvolumes" },
  { kind: "Event", path: "/api/v1/events" },
  {
    kind: "Lease",
    path: `/apis/coordination.k8s.io/v1/namespaces/${STATE_NAMESPACE}/leases`,
    query: `fieldSelector=metadata.name%3D${LEASE_NAME}`,
  },
  {
    kind: "ConfigMap",
    path: `/api/v1/namespaces/${STATE_NAMESPACE}/configmaps`,
    keep: (object) => object.metadata.name.startsWith(RUN_STATE_PREFIX),
  },
];

const RECONNECT_MS = 200;
const WATCH_SECONDS = 240;

interface List {
  metadata: { resourceVersion: string };
  items: KubeObject[];
}

export type Emit = (observation: Observation) => void;

/** The watch of one kind. */
class Feed {
  private readonly known = new Map<string, KubeObject>();
  private version = "";
  private stopped = false;
  private stream?: Stream;
  private readonly api: KubeApi;
  private readonly source: Source;
  private readonly emit: Emit;

  constructor(api: KubeApi, source: Source, emit: Emit) {
    this.api = api;
    this.source = source;
    this.emit = emit;
  }

  async list(): Promise<{ version: string; objects: KubeObject[] }> {
    const query = this.source.query === undefined ? "" : `?${this.source.query}`;
    const list = await this.api.request<List>("GET", this.source.path + query);
    const objects = list.items.map((item) => ({ ...item, kind: this.source.kind }) as KubeObject);
    return {
      version: list.metadata.resourceVersion,
      objects: objects.filter(this.source.keep ?? (() => true)),
    };
  }

  async start(): Promise<void> {
    const { version, objects } = await this.list();
    for (const object of objects) this.take("INITIAL", object);
    this.version = version;
    this.run().catch((error: unknown) => this.blind(`the watch ended: ${String(error)}`));
  }

  private take(change: "INITIAL" | "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    if (change === "DELETED") this.known.delete(object.metadata.uid);
    else this.known.set(object.metadata.uid, object);
    this.emit({ type: "object", at: Date.now(), change, object });
  }

  private blind(what: string): void {
    this.emit({ type: "blind", at: Date.now(), what: `${this.source.kind}: ${what}` });
  }

  /** Watches until stopped. */
  private async run(): Promise<void> {
    while (!this.stopped) {
      const ended = await this.watchOnce();
      if (this.stopped) return;
      if (ended === "gone") await this.relist();
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  }

  private async watchOnce(): Promise<"again" | "gone"> {
    const query = [
      "watch=true&allowWatchBookmarks=true",
      `timeoutSeconds=${WATCH_SECONDS}`,
      `resourceVersion=${this.version}`,
      ...(this.source.query === undefined ? [] : [this.source.query]),
    ].join("&");
    return new Promise((resolve) => {
      let gone = false;
      const end = (error?: Error): void =>
        resolve(gone || (error as ApiError)?.code === 410 ? "gone" : "again");
      this.api
        .stream(`${this.source.path}?${query}`, (line) => (gone = this.onLine(line) || gone), end)
        .then((stream) => {
          this.stream = stream;
          if (this.stopped) stream.close();
        }, end);
    });
  }

  /** Tells whether the server has forgotten the version asked for. */
  private onLine(line: string): boolean {
    let event: { type: string; object: KubeObject & { code?: number; message?: string } };
    try {
      event = JSON.parse(line) as typeof event;
    } catch (error) {
      if (!this.stopped) this.blind(`an event could not be read: ${String(error)}`);
      return false;
    }
    if (event.type === "ERROR") return true;
    this.version = event.object.metadata.resourceVersion ?? this.version;
    if (event.type === "BOOKMARK") return false;
    const object = { ...event.object, kind: this.source.kind } as KubeObject;
    if (this.source.keep?.(object) ?? true) this.take(event.type as "ADDED" | "MODIFIED" | "DELETED", object);
    return false;
  }

  /** The server no longer has the events in between: take the present state, and say that something may be missing. */
  private async relist(): Promise<void> {
    this.blind(`the events after version ${this.version} are lost`);
    const { version, objects } = await this.list();
    const present = new Set(objects.map((object) => object.metadata.uid));
    for (const old of [...this.known.values()]) if (!present.has(old.metadata.uid)) this.take("DELETED", old);
    for (const object of objects) {
      const old = this.known.get(object.metadata.uid);
      if (old === undefined) this.take("ADDED", object);
      else if (old.metadata.resourceVersion !== object.metadata.resourceVersion)
        this.take("MODIFIED", object);
    }
    this.version = version;
  }

  /** What the watch has not shown although the API server has it, or undefined when it is up to date. */
  async missing(): Promise<string | undefined> {
    const { version, objects } = await this.list();
    const listed = new Map(objects.map((object) => [object.metadata.uid, object]));
    for (const object of objects) {
      const known = this.known.get(object.metadata.uid);
      if (
        known === undefined ||
        Number(known.metadata.resourceVersion) < Number(object.metadata.resourceVersion)
      ) {
        return `${this.source.kind} ${object.metadata.name} at version ${object.metadata.resourceVersion ?? ""}`;
      }
    }
    for (const known of this.known.values()) {
      const older = Number(known.metadata.resourceVersion) <= Number(version);
      if (older && !listed.has(known.metadata.uid))
        return `the end of ${this.source.kind} ${known.metadata.name}`;
    }
    return undefined;
  }

  stop(): void {
    this.stopped = true;
    this.stream?.close();
  }
}

export class Collector {
  private readonly feeds: Feed[];

  constructor(api: KubeApi, emit: Emit) {
    this.feeds = SOURCES.map((source) => new Feed(api, source, emit));
  }

  /** Lists everything, then watches. */
  async start(): Promise<void> {
    await Promise.all(this.feeds.map((feed) => feed.start()));
  }

  /** What the API server has and no watch has shown yet. */
  async missing(): Promise<string[]> {
    const missing = await Promise.all(this.feeds.map((feed) => feed.missing()));
    return missing.filter((each) => each !== undefined);
  }

  stop(): void {
    for (const feed of this.feeds) feed.stop();
  }
}
