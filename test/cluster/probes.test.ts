/** Probes through the proxy of a real API server to a real HTTP server, with the permission that the docs name and no other. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import { health } from "../../rollout/config/health.ts";
import { Breach } from "../../rollout/errors.ts";
import { SourceError } from "../../rollout/health/metric.ts";
import { probeSources } from "../../rollout/health/sources/probes.ts";
import { type LogLine, RunLog } from "../../rollout/log.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { apply, budget, deployment, type Manifest, namespace } from "../support/workloads.ts";

/** The API server proxies to no loopback address: https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/validation.go */
const address = Object.values(networkInterfaces())
  .flat()
  .find((it) => it?.family === "IPv4" && !it.internal)?.address;

const SPACE = "probes";
const POD = "web-1";

describe("probes through a real API server", function () {
  this.timeout(120_000);
  const sandbox = useSandbox();
  let server: Server;
  let port: number;
  const admin = new KubeConfig();
  let kc: KubeConfig;
  let answer: { status: number; body: string; location?: string } = { status: 200, body: "ready" };
  const seen: string[] = [];

  before(async function () {
    if (address === undefined) this.skip(); // a machine without any network
    server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      const { status, body, location } = answer;
      response.writeHead(status, location === undefined ? {} : { location }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, address, resolve));
    ({ port } = server.address() as AddressInfo);
    await apply(
      sandbox().test.api,
      namespace(SPACE),
      service("web"),
      service("nobody"),
      service("silent"),
      ...permission(["web:8080", "https:web:8080", "nobody:8080", "silent:8080"]),
    );
    admin.loadFromFile(sandbox().sandbox.kubeconfig);
    await pod();
    await endpoints("web", port);
    await endpoints("nobody");
    kc = await asProbes();
  });
  after(() => {
    server?.closeAllConnections();
    server?.close();
  });
  beforeEach(() => {
    answer = { status: 200, body: "ready" };
    seen.splice(0);
  });

  /** A pod that has this machine's address: the API server proxies to addresses of pods alone. */
  const pod = async (): Promise<void> => {
    const core = admin.makeApiClient(CoreV1Api);
    const [name, ip] = [POD, address ?? ""];
    await core.createNamespacedPod({
      namespace: SPACE,
      body: {
        metadata: { name },
        spec: { schedulerName: "nobody", containers: [{ name: "web", image: "web" }] },
      },
    });
    await sandbox().test.api.request("PATCH", `/api/v1/namespaces/${SPACE}/pods/${name}/status`, {
      status: { podIP: ip, podIPs: [{ ip }] },
    });
  };

  /** The pod answers for the Service, at this port; nobody does without one. */
  const endpoints = async (name: string, port?: number): Promise<void> => {
    const core = admin.makeApiClient(CoreV1Api);
    const targetRef = { kind: "Pod", namespace: SPACE, name: POD };
    const at = {
      addresses: [{ ip: address ?? "", targetRef }],
      ports: [{ port: port ?? 0, protocol: "TCP" }],
    };
    await core.createNamespacedEndpoints({
      namespace: SPACE,
      body: { metadata: { name }, subsets: port === undefined ? [] : [at] },
    });
  };

  /** With the permission alone. */
  const asProbes = async (): Promise<KubeConfig> => {
    const core = admin.makeApiClient(CoreV1Api);
    const { status } = await core.createNamespacedServiceAccountToken({
      name: "probes",
      namespace: SPACE,
      body: { spec: { audiences: [], expirationSeconds: 3600 } },
    });
    const own = new KubeConfig();
    const cluster = admin.getCurrentCluster();
    assert.ok(cluster);
    own.loadFromClusterAndUser(cluster, { name: "probes", token: status?.token });
    return own;
  };

  const probe = async (name: string, more: object = {}, with_ = kc): Promise<string | undefined> => {
    const http = { service: { namespace: SPACE, name, port: 8080 }, path: "/healthz?full=1", ...more };
    const cluster = createCluster(with_, {
      requestTimeoutSeconds: 10,
      userAgent: "patchguard/test",
      clock: systemClock,
    });
    const config = health.parse({ probes: [{ name: "front", http, timeoutSeconds: 14 }] });
    const { sources, metrics } = probeSources(config, cluster, new RunLog(systemClock, []));
    const [[source], [metric]] = [sources, metrics];
    assert.ok(source && metric);
    const question = { metric, workloads: [], from: 0, to: 1 };
    const [reading] = await source.read(question, AbortSignal.timeout(60_000));
    assert.ok(reading && "failed" in reading.value);
    return reading.value.failed;
  };

  it("are well when the Service answers, and hand it path and query", async () => {
    assert.equal(await probe("web", { contains: "ready" }), undefined);
    assert.deepEqual(seen, ["GET /healthz?full=1"]);
    answer = { status: 302, body: "", location: "/elsewhere" };
    assert.equal(await probe("web"), undefined);
  });

  it("fail with what the Service says, whatever the status", async () => {
    for (const status of [401, 403, 404, 429, 500, 503]) {
      answer = { status, body: "the database is away" };
      assert.equal(
        await probe("web"),
        `Service ${SPACE}/web:8080/healthz answered ${status}: the database is away`,
      );
    }
    assert.equal(seen.length, 6);
  });

  it("fail when the Service has no endpoints, or nobody listens there", async () => {
    assert.match((await probe("nobody")) ?? "", /was not reached by the API server: no endpoints available/);
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, address, resolve));
    const { port: gone } = silent.address() as AddressInfo;
    await new Promise((resolve) => silent.close(resolve));
    await endpoints("silent", gone);
    assert.match((await probe("silent")) ?? "", /was not reached by the API server: .*connection refused/);
  });

  it("may be over TLS, which is a permission of its own", async () => {
    const service = { namespace: SPACE, name: "web", port: 8080, scheme: "https" };
    assert.match((await probe("web", { service })) ?? "", /was not reached .*tls: /);
  });

  it("are no answer without the permission, or without the Service", async () => {
    const refused = async (name: string, with_?: KubeConfig): Promise<SourceError> => {
      const error: unknown = await probe(name, {}, with_).catch((reason: unknown) => reason);
      assert.ok(error instanceof SourceError, String(error));
      assert.equal(error.passing, false);
      return error;
    };
    assert.match((await refused("other")).message, /403 .*forbidden.*Grant `get` on services\/proxy/);
    assert.match((await refused("other", admin)).message, /404 services "other" not found/);
  });
});

/** A program and a request on a real clock, as a handover makes them. */
describe("probes in a handover on a real API server", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox();
  const [from, to] = ["aaaaaaaa", "bbbbbbbb"];
  const dir = mkdtempSync(join(tmpdir(), "patchguard-probes-"));
  const flag = join(dir, "shop-is-down");
  const lines: LogLine[] = [];

  after(() => rmSync(dir, { recursive: true, force: true }));
  afterEach("what the run said", function () {
    if (this.currentTest?.state === "failed")
      for (const { event, message } of lines) console.log(`    ${event}: ${message}`);
  });
  before("two generations, pods on one", async () => {
    const { test, view } = sandbox();
    const node = (name: string, generation: string) => ({
      name,
      pool: "workers",
      generation,
      zone: "us-east-1a",
    });
    await addFakeNodes(test.api, [node("blue-1", from), node("blue-2", from)]);
    await apply(
      test.api,
      deployment({ name: "web", replicas: 2, start: "500ms", stop: "500ms" }),
      budget({ name: "web", app: "web", maxUnavailable: 1 }),
    );
    await view.ready("web", 2, 60);
    await addFakeNodes(test.api, [node("green-1", to), node("green-2", to)]);
    await view.budgetAllows("default/web", 1);
  });

  it("roll back when the drain takes away what a command looks for, and say what it said", async () => {
    const { sandbox: own, watched } = sandbox();
    const check = `if [ -e ${flag} ]; then echo the shop is down; exit 7; fi`;
    const command = ["sh", "-c", check];
    const probes = [{ name: "shop", command, timeoutSeconds: 4, workload: "Deployment default/web" }];
    const health = { windowSeconds: 20, sampleSeconds: 5, metricsApi: "off", probes };
    await watched(async (watcher) => {
      const moving = moveNodes({
        kubeconfig: own.kubeconfig,
        pool: "workers",
        generation: to,
        rollout: { health },
        evidence: dir,
        sink: (line) => {
          lines.push(line);
          if (line.event === "node-drained") writeFileSync(flag, "");
        },
      });
      await assert.rejects(moving, (error) => {
        assert.ok(error instanceof Breach, String(error));
        assert.match(
          error.message,
          /Deployment default\/web: probe shop failed 2 of \d times after the drain, .*; at last: exit code 7: the shop is down/,
        );
        return true;
      });
      await watcher.expectReopened({ nodes: ["green-1", "green-2"] });
    });
    assert.ok(lines.some(({ message }) => message === "probe shop failed: exit code 7: the shop is down"));
    const texts = readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".json"))
      .map((name) => readFileSync(join(dir, name), "utf8"));
    assert.match(texts.join(), /"why": ?"exit code 7: the shop is down"/);
  });
});

const service = (name: string): Manifest => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: SPACE },
  spec: { ports: [{ port: 8080, protocol: "TCP" }] },
});

/** As docs/permissions.md has it. */
const permission = (resourceNames: string[]): Manifest[] => [
  { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "probes", namespace: SPACE } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name: "probes", namespace: SPACE },
    rules: [{ apiGroups: [""], resources: ["services/proxy"], resourceNames, verbs: ["get"] }],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name: "probes", namespace: SPACE },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "probes" },
    subjects: [{ kind: "ServiceAccount", name: "probes", namespace: SPACE }],
  },
];
