/** The client of the API server, against a real one: reads, writes, evictions, watches, credentials. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, KubeConfig, PolicyV1Api } from "@kubernetes/client-node";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { ApiError, type Cluster } from "../../rollout/cluster/cluster.ts";
import { diagnose } from "../../rollout/cluster/explain.ts";
import { connect } from "../../rollout/cluster/kubeconfig.ts";
import { list } from "../../rollout/cluster/list.ts";
import { Transport, type Credentials } from "../../rollout/cluster/transport.ts";
import type { ConfigMap } from "../../rollout/cluster/types.ts";
import { startSandbox, stopSandbox, type Sandbox } from "../../sandbox/sandbox.ts";
import { useEnvironment } from "../support/environment.ts";
import { tcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { until } from "../support/until.ts";

const TOKEN_SECONDS = 4;
/** From its first use until the API server refuses a token: it trusts its own memory of one for 10 s. */
const REFUSED_AFTER_MS = 11_000;
const NODE = "client-node-1";
const EKS = { kind: "eks", name: "sandbox", region: "us-east-1" } as const;

const clusterOf = (kc: Credentials, requestTimeoutSeconds = 10): Cluster =>
  createCluster(kc, { requestTimeoutSeconds, userAgent: "patchguard/test", clock: systemClock });

describe("client of the API server", function () {
  this.timeout(300_000);
  const dir = mkdtempSync(join(tmpdir(), "patchguard-client-"));
  let sandbox: Sandbox;
  let restore = (): void => undefined;
  let admin: KubeConfig;
  let core: CoreV1Api;
  let cluster: Cluster;

  before(async () => {
    sandbox = await startSandbox({
      dir,
      env: { ...process.env, SANDBOX_TOKEN_SECONDS: String(TOKEN_SECONDS) },
    });
    restore = useEnvironment(sandbox.env);
    admin = new KubeConfig();
    admin.loadFromFile(sandbox.kubeconfig);
    core = admin.makeApiClient(CoreV1Api);
    cluster = clusterOf(await connect(EKS));
    await addNode();
  });

  after(async () => {
    restore();
    await stopSandbox({ dir });
    rmSync(dir, { recursive: true, force: true });
  });

  async function addNode(): Promise<void> {
    const size = { cpu: "32", memory: "64Gi", pods: "110" };
    await core.createNode({
      body: {
        metadata: { name: NODE, annotations: { "kwok.x-k8s.io/node": "fake" }, labels: { here: "yes" } },
        spec: { providerID: "" },
        status: { capacity: size, allocatable: size },
      },
    });
    await until("the node is Ready", async () => {
      const node = await cluster.get("Node", NODE);
      return node?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
    });
  }

  async function namespace(name: string): Promise<void> {
    await core.createNamespace({ body: { metadata: { name } } });
    await until("the default service account", async () => {
      const { items } = await core.listNamespacedServiceAccount({ namespace: name });
      return items.some(({ metadata }) => metadata?.name === "default");
    });
  }

  /** Runs a pod on the node and waits until it is Ready. @returns its UID. */
  async function pod(ns: string, name: string, labels: Record<string, string>, finalizers: string[] = []) {
    await core.createNamespacedPod({
      namespace: ns,
      body: {
        metadata: {
          name,
          labels,
          finalizers,
          annotations: { "sandbox.patchguard.dev/start": "100ms", "sandbox.patchguard.dev/stop": "500ms" },
        },
        spec: { nodeName: NODE, containers: [{ name: "main", image: "example" }] },
      },
    });
    await until(`pod ${name} is Ready`, async () => {
      const now = await cluster.get("Pod", name, ns);
      return now?.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
    });
    return { namespace: ns, name, uid: (await cluster.get("Pod", name, ns))?.metadata.uid ?? "" };
  }

  async function budget(ns: string, name: string, minAvailable: number, app: string, healthy: number) {
    await admin.makeApiClient(PolicyV1Api).createNamespacedPodDisruptionBudget({
      namespace: ns,
      body: { metadata: { name }, spec: { minAvailable, selector: { matchLabels: { app } } } },
    });
    await until(`budget ${name} counts ${healthy}`, async () => {
      const now = await cluster.get("PodDisruptionBudget", name, ns);
      return now?.status?.currentHealthy === healthy && now.status.observedGeneration === 1;
    });
  }

  /** Counts the credentials that the server refused. */
  function countRefusals(kc: Credentials): () => number {
    let count = 0;
    const invalidate = kc.invalidate?.bind(kc);
    kc.invalidate = (authorization) => {
      count++;
      invalidate?.(authorization);
    };
    return () => count;
  }

  describe("reads and writes", () => {
    it("creates, patches with a guard, and removes", async () => {
      const metadata = { name: "notes", namespace: "default" };
      const made = await cluster.create("ConfigMap", { metadata, data: { a: "1" } });
      const changed = await cluster.patch("ConfigMap", "notes", "default", {
        metadata: { resourceVersion: made.metadata.resourceVersion },
        data: { a: null, b: "2" },
      });
      assert.deepEqual(changed.data, { b: "2" });
      const { managedFields } = changed.metadata as { managedFields?: { manager: string }[] };
      assert.deepEqual(new Set(managedFields?.map(({ manager }) => manager)), new Set(["patchguard"]));
      const stale = cluster.patch("ConfigMap", "notes", "default", {
        metadata: { resourceVersion: made.metadata.resourceVersion },
        data: { b: "3" },
      });
      await assert.rejects(stale, (error) => error instanceof ApiError && error.status === 409);
      await cluster.remove("ConfigMap", "notes", "default");
      await cluster.remove("ConfigMap", "notes", "default");
      assert.equal(await cluster.get("ConfigMap", "notes", "default"), undefined);
    });

    it("says which version the server is", async () => {
      assert.match(await cluster.serverVersion(), /^v1\.\d+\.\d+/);
    });

    it("lists all pages, each object once, and selects", async () => {
      await namespace("pages");
      const names = ["a", "b", "c", "d", "e", "f", "g"];
      const labels = { page: "yes" };
      for (const name of names) {
        await cluster.create("ConfigMap", { metadata: { name, namespace: "pages", labels } });
      }
      const transport = new Transport(admin, {
        requestTimeoutSeconds: 10,
        userAgent: "patchguard/test",
        clock: systemClock,
      });
      const query = new URLSearchParams({ labelSelector: "page=yes" });
      const path = "/api/v1/namespaces/pages/configmaps";
      const { items } = await list<ConfigMap>(transport, path, query, undefined, 3);
      assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), names);
      const fieldSelector = "metadata.name=b";
      const found = await cluster.list("ConfigMap", { namespace: "pages", fieldSelector });
      assert.deepEqual(
        found.map(({ metadata }) => metadata.name),
        ["b"],
      );
    });
  });

  describe("evictions", () => {
    const NS = "evictions";
    before(() => namespace(NS));

    it("a rehearsal changes nothing, then the pod goes, then it is gone", async () => {
      const it = await pod(NS, "free", { app: "free" });
      assert.deepEqual(await cluster.evict(it, { dryRun: true }), { outcome: "evicted" });
      assert.equal((await cluster.get("Pod", "free", NS))?.metadata.deletionTimestamp, undefined);
      assert.deepEqual(await cluster.evict(it), { outcome: "evicted" });
      await until("the pod is gone", async () => (await cluster.get("Pod", "free", NS)) === undefined);
      assert.deepEqual(await cluster.evict(it), { outcome: "gone" });
    });

    it("another pod of the same name is not touched", async () => {
      const it = await pod(NS, "same-name", { app: "same-name" });
      const other = { ...it, uid: "00000000-0000-0000-0000-000000000000" };
      assert.deepEqual(await cluster.evict(other, { dryRun: true }), { outcome: "gone" });
      assert.deepEqual(await cluster.evict(other), { outcome: "gone" });
      const now = await cluster.get("Pod", "same-name", NS);
      assert.equal(now?.metadata.uid, it.uid);
      assert.equal(now?.metadata.deletionTimestamp, undefined);
    });

    it("an unknown pod, or one of an unknown namespace, is gone", async () => {
      assert.deepEqual(await cluster.evict({ namespace: NS, name: "nobody", uid: "1" }), { outcome: "gone" });
      assert.deepEqual(await cluster.evict({ namespace: "nowhere", name: "a", uid: "1" }), {
        outcome: "gone",
      });
    });

    it("a spent budget is named, in rehearsal too", async () => {
      const it = await pod(NS, "guarded", { app: "guarded" });
      await budget(NS, "guard", 1, "guarded", 1);
      for (const dryRun of [true, false]) {
        const result = await cluster.evict(it, { dryRun });
        assert.equal(result.outcome, "budget");
        assert.ok("budget" in result && result.budget === "guard");
        assert.match(result.message, /needs 1 healthy pods and has 1 currently/);
      }
    });

    it("several budgets on one pod", async () => {
      const it = await pod(NS, "twice", { app: "twice" });
      await budget(NS, "first", 0, "twice", 1);
      await budget(NS, "second", 0, "twice", 1);
      assert.equal((await cluster.evict(it)).outcome, "several-budgets");
      assert.equal((await cluster.get("Pod", "twice", NS))?.metadata.deletionTimestamp, undefined);
    });

    it("a terminating namespace", async () => {
      await namespace("ending");
      const it = await pod("ending", "stays", { app: "stays" }, ["test.patchguard.dev/stay"]);
      await core.deleteNamespace({ name: "ending" });
      await until("the namespace terminates", async () => {
        const { status } = await core.readNamespace({ name: "ending" });
        return status?.phase === "Terminating";
      });
      assert.equal((await cluster.evict(it)).outcome, "namespace-terminating");
      await cluster.patch("Pod", "stays", "ending", { metadata: { finalizers: null } });
    });

    it("a missing permission", async () => {
      const nobody = clusterOf(asUser("nobody"));
      const result = await nobody.evict({ namespace: NS, name: "guarded", uid: "1" });
      assert.ok(result.outcome === "refused" && result.status === 403);
      assert.match(result.message, /User "nobody" cannot create resource "pods\/eviction"/);
    });
  });

  /** The admin's kubeconfig with something changed. */
  function changed(cluster: object, user: object): KubeConfig {
    const kc = new KubeConfig();
    const now = admin.getCurrentCluster();
    const me = admin.getCurrentUser();
    assert.ok(now && me);
    kc.loadFromClusterAndUser({ ...now, ...cluster }, { ...me, ...user });
    return kc;
  }
  const asUser = (impersonateUser: string): KubeConfig => changed({}, { impersonateUser });

  describe("watches", () => {
    const NS = "watched";
    let proxy: TcpProxy;
    before(async () => {
      await namespace(NS);
      proxy = await tcpProxy(new URL(sandbox.apiUrl));
    });
    after(() => proxy.close());

    it("follow creations, changes and deletions, through broken connections, with one credential after another", async () => {
      const kc = await connect(EKS);
      const [entry] = kc.clusters;
      assert.ok(entry);
      kc.clusters = [{ ...entry, server: `https://127.0.0.1:${proxy.port}` }];
      const refused = countRefusals(kc);
      const opened = Date.now();
      const watched = await clusterOf(kc).watch("ConfigMap", { namespace: NS, labelSelector: "seen=yes" });
      let changes = 0;
      const stop = watched.onChange(() => changes++);
      const labels = { seen: "yes" };
      await cluster.create("ConfigMap", { metadata: { name: "a", namespace: NS, labels }, data: { n: "1" } });
      await until("a is seen", () => watched.get("a", NS)?.data?.["n"] === "1");
      assert.ok(changes > 0);

      proxy.kill();
      await cluster.patch("ConfigMap", "a", NS, { data: { n: "2" } });
      await cluster.create("ConfigMap", { metadata: { name: "b", namespace: NS, labels } });
      await until(
        "what happened meanwhile is seen",
        () => watched.get("a", NS)?.data?.["n"] === "2" && !!watched.get("b", NS),
      );

      // the token that opened the watch has run out by now: the next connection needs a new one
      await until("the token has run out", () => Date.now() - opened > REFUSED_AFTER_MS);
      proxy.kill();
      await cluster.remove("ConfigMap", "b", NS);
      await until("the deletion is seen", () => watched.get("b", NS) === undefined);
      assert.ok(refused() > 0, "the old token was refused");
      assert.deepEqual(
        watched.items().map(({ metadata }) => metadata.name),
        ["a"],
      );

      const before = changes;
      stop();
      await cluster.patch("ConfigMap", "a", NS, { metadata: { labels: { seen: "no" } } });
      await until("what leaves the selection is dropped", () => watched.items().length === 0);
      assert.equal(changes, before, "the listener was taken off");
      watched.close();
      const accepted = proxy.accepted();
      proxy.kill();
      await cluster.patch("ConfigMap", "a", NS, { metadata: { labels } });
      assert.equal(watched.items().length, 0);
      assert.equal(proxy.accepted(), accepted, "a closed watch does not come back");
    });

    it("are in step with the server when it ends them, and say so", async () => {
      const watched = await cluster.watch("ConfigMap", { namespace: NS });
      const opened = Date.now();
      let oldest = 0;
      await until(
        "a watch has been ended and opened again",
        () => {
          oldest = Math.max(oldest, Date.now() - watched.syncedAt());
          return Date.now() - opened > 24_000 && Date.now() - watched.syncedAt() < 5000;
        },
        40,
      );
      assert.ok(oldest < 22_000, `syncedAt stood still for ${oldest} ms`);
      await cluster.create("ConfigMap", { metadata: { name: "late", namespace: NS } });
      await until("it still follows", () => watched.get("late", NS) !== undefined);
      watched.close();
    });
  });

  describe("credentials and contexts", () => {
    let closedPort = 0;
    let pagesPort = 0;
    const pages = createServer((_, response) => response.writeHead(404).end("<html>not here</html>"));
    const portOf = (server: Server): number => (server.address() as AddressInfo).port;
    before(async () => {
      await new Promise<void>((resolve) => pages.listen(0, "127.0.0.1", resolve));
      pagesPort = portOf(pages);
      const closed = createServer();
      await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
      closedPort = portOf(closed);
      await new Promise((resolve) => closed.close(resolve));
    });
    after(() => new Promise((resolve) => pages.close(resolve)));

    it("a token that ran out is made anew in mid-use", async () => {
      const kc = await connect(EKS);
      const refused = countRefusals(kc);
      const own = clusterOf(kc);
      const used = Date.now();
      await own.list("Node");
      await until("the token has run out", () => Date.now() - used > REFUSED_AFTER_MS);
      const [nodes, gone] = await Promise.all([
        own.list("Node"),
        own.evict({ namespace: "default", name: "nobody", uid: "1" }),
      ]);
      assert.equal(nodes.length, 1);
      assert.deepEqual(gone, { outcome: "gone" });
      assert.ok(refused() > 0, "the old token was refused");
    });

    const troubles: [string, () => KubeConfig, string, RegExp][] = [
      [
        "an unknown token",
        () => changed({}, { token: "stale", certData: undefined, keyData: undefined }),
        "credential",
        /401/,
      ],
      ["a missing permission", () => asUser("nobody"), "permission", /user nobody needs list on nodes/],
      [
        "nothing listens",
        () => changed({ server: `https://127.0.0.1:${closedPort}` }, {}),
        "unreachable",
        /ECONNREFUSED/,
      ],
      ["another CA", () => changed({ caData: undefined, caFile: undefined }, {}), "context", /certificate/],
      [
        "no API server",
        () => changed({ server: `http://127.0.0.1:${pagesPort}`, skipTLSVerify: true }, {}),
        "context",
        /no Kubernetes API server/,
      ],
    ];
    for (const [name, kc, trouble, says] of troubles) {
      it(`tells apart: ${name}`, async () => {
        const error: unknown = await clusterOf(kc(), 1)
          .list("Node")
          .then(
            () => new Error("it worked"),
            (reason: unknown) => reason,
          );
        const found = diagnose(error);
        assert.equal(found.trouble, trouble, found.text);
        assert.match(found.text, says);
      });
    }

    it("a missing context names those there are", async () => {
      await assert.rejects(
        connect({ kind: "kubernetes", context: "prod" }),
        /no context "prod".*there is sandbox/,
      );
    });

    it("a context of another cluster is refused for EKS, the right one is taken", async () => {
      const other = join(dir, "other.kubeconfig");
      const text = readFileSync(sandbox.kubeconfig, "utf8");
      writeFileSync(other, text.replaceAll(sandbox.apiUrl, "https://127.0.0.1:1"));
      await assert.rejects(
        connect({ ...EKS, kubeconfig: other, context: "sandbox" }),
        /Wrong context: sandbox points to/,
      );
      assert.ok(await clusterOf(await connect({ ...EKS, context: "sandbox" })).get("Node", NODE));
    });

    it("an unknown EKS cluster", async () => {
      await assert.rejects(connect({ ...EKS, name: "nope" }), /no EKS cluster nope in us-east-1/);
    });
  });

  it("knows the workloads' kinds", async () => {
    await admin.makeApiClient(AppsV1Api).listNamespacedDeployment({ namespace: "default" });
    for (const kind of [
      "ReplicaSet",
      "StatefulSet",
      "DaemonSet",
      "PersistentVolumeClaim",
      "PersistentVolume",
      "VolumeAttachment",
      "CSIDriver",
      "Lease",
      "Event",
    ] as const) {
      assert.ok(Array.isArray(await cluster.list(kind)), kind);
    }
  });
});
