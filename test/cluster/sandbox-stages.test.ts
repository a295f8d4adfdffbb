/** The fake kubelets' behaviour (sandbox/stages), each kind on the real API server with the real controllers. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ApiException,
  AppsV1Api,
  BatchV1Api,
  CoreV1Api,
  KubeConfig,
  PolicyV1Api,
  StorageV1Api,
  type V1Pod,
} from "@kubernetes/client-node";
import { kubeconfigPath } from "../../sandbox/control-plane/files.ts";
import { startSandbox, stopSandbox, type Sandbox } from "../../sandbox/sandbox.ts";

const NS = "default";
const P = "sandbox.patchguard.dev";

describe("sandbox Stages", function () {
  this.timeout(600_000);
  const dir = mkdtempSync(join(tmpdir(), "patchguard-stages-"));
  let sandbox: Sandbox;
  let core: CoreV1Api;
  let config: KubeConfig;

  before(async () => {
    sandbox = await startSandbox({ dir, without: ["moto", "machine-room"] });
    config = new KubeConfig();
    config.loadFromFile(sandbox.kubeconfig);
    core = config.makeApiClient(CoreV1Api);
    await node("node-1");
    await until(
      "node-1 Ready",
      async () => condition((await core.readNode({ name: "node-1" })).status, "Ready") === "True",
    );
    await until("the default service account", async () => {
      return (await core.listNamespacedServiceAccount({ namespace: NS })).items.some(
        (a) => a.metadata?.name === "default",
      );
    });
  });

  after(async () => {
    await stopSandbox({ dir });
    rmSync(dir, { recursive: true, force: true });
  });

  async function node(name: string): Promise<void> {
    await core.createNode({
      body: {
        metadata: {
          name,
          annotations: {
            "kwok.x-k8s.io/node": "fake",
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
          },
          labels: { "kubernetes.io/hostname": name, zone: "a" },
        },
        spec: { providerID: "aws:///us-east-1a/i-1" },
        status: {
          addresses: [{ type: "InternalIP", address: "10.0.1.7" }],
          capacity: { cpu: "8", memory: "32Gi", pods: "58" },
          allocatable: { cpu: "7", memory: "30Gi", pods: "58" },
          nodeInfo: {
            architecture: "arm64",
            bootID: "b",
            containerRuntimeVersion: "containerd://1.7",
            kernelVersion: "6.1.99",
            kubeProxyVersion: "",
            kubeletVersion: "v1.34.2-eks-1",
            machineID: "m",
            operatingSystem: "linux",
            osImage: "Amazon Linux 2023.9",
            systemUUID: "s",
          },
        },
      },
    });
  }

  async function pod(
    name: string,
    annotations: Record<string, string> = {},
    spec: Partial<V1Pod["spec"]> = {},
  ): Promise<V1Pod> {
    return core.createNamespacedPod({
      namespace: NS,
      body: {
        metadata: { name, annotations, labels: { app: name } },
        spec: { nodeName: "node-1", containers: [{ name: "c", image: "x" }], ...spec },
      },
    });
  }
  const read = (name: string): Promise<V1Pod> => core.readNamespacedPod({ name, namespace: NS });
  const isReady = async (name: string): Promise<boolean> =>
    condition((await read(name)).status, "Ready") === "True";
  const isGone = async (name: string): Promise<boolean> => {
    try {
      await read(name);
      return false;
    } catch (error) {
      if (error instanceof ApiException && error.code === 404) return true;
      throw error;
    }
  };
  const patch = async (name: string, metadata: object): Promise<void> => {
    const operations = Object.entries(metadata).map(([path, value]) =>
      value === null ? { op: "remove", path } : { op: "add", path, value: value as unknown },
    );
    await core.patchNamespacedPod({ name, namespace: NS, body: operations });
  };
  const annotation = (name: string): string => `/metadata/annotations/${P}~1${name}`;

  it("a Node becomes Ready and keeps what the machine room set", async () => {
    const found = await core.readNode({ name: "node-1" });
    assert.equal(found.status?.nodeInfo?.kernelVersion, "6.1.99");
    assert.equal(found.status?.nodeInfo?.osImage, "Amazon Linux 2023.9");
    assert.equal(found.status?.nodeInfo?.kubeletVersion, "v1.34.2-eks-1");
    assert.equal(found.status?.capacity?.["cpu"], "8");
    assert.equal(found.status?.allocatable?.["pods"], "58");
    assert.deepEqual(
      found.status?.addresses?.map(({ type, address }) => `${type} ${address}`),
      ["InternalIP 10.0.1.7"],
    );
    assert.equal(found.metadata?.labels?.["zone"], "a");
    await until(
      "no taint of a new Node left",
      async () => !(await core.readNode({ name: "node-1" })).spec?.taints?.length,
    );
  });

  it("a Node whose kubelet fails becomes NotReady, and comes back", async () => {
    await node("node-sick");
    const ready = async (): Promise<string | undefined> =>
      condition((await core.readNode({ name: "node-sick" })).status, "Ready");
    await until("Ready", async () => (await ready()) === "True");
    const path = annotation("fail");
    await core.patchNode({ name: "node-sick", body: [{ op: "add", path, value: "not-ready" }] });
    await until("NotReady", async () => (await ready()) === "False");
    await core.patchNode({ name: "node-sick", body: [{ op: "remove", path }] });
    await until("Ready again", async () => (await ready()) === "True");
    await core.deleteNode({ name: "node-sick" });
  });

  it("a pod starts 2 s after binding, or as its annotation says", async () => {
    await pod("start-default");
    await pod("start-fast", { [`${P}/start`]: "300ms" });
    const began = Date.now();
    await until("fast", () => isReady("start-fast"));
    const fast = Date.now() - began;
    assert.ok(fast < 1700, `took ${fast} ms`);
    assert.equal(await isReady("start-default"), false);
    await until("default", () => isReady("start-default"));
    const slow = Date.now() - began;
    assert.ok(slow > 1500 && slow < 6000, `took ${slow} ms`);
    const { status } = await read("start-default");
    assert.equal(status?.phase, "Running");
    assert.equal(status?.containerStatuses?.[0]?.ready, true);
    assert.match(status?.podIP ?? "", /^10\./);
  });

  it("a deleted pod stops after 5 s, as its annotation says, and never after its grace period", async () => {
    await pod("stop-default");
    await pod("stop-slow-short-grace", { [`${P}/stop`]: "60s" }, { terminationGracePeriodSeconds: 2 });
    await pod("stop-fast", { [`${P}/stop`]: "500ms" });
    const names = ["stop-default", "stop-slow-short-grace", "stop-fast"];
    await until("all Ready", async () => (await Promise.all(names.map(isReady))).every(Boolean));
    const took = await Promise.all(
      names.map(async (name) => {
        const began = Date.now();
        await core.deleteNamespacedPod({ name, namespace: NS });
        await until(`${name} gone`, () => isGone(name));
        return Date.now() - began;
      }),
    );
    const [normal = 0, short = 0, fast = 0] = took;
    assert.ok(normal > 4500 && normal < 8000, `default took ${normal} ms`);
    assert.ok(short > 1500 && short < 4500, `grace of 2 s took ${short} ms`);
    assert.ok(fast > 300 && fast < 2500, `fast took ${fast} ms`);
  });

  it("the fake kubelet ends no pod that nobody has deleted", async () => {
    await pod("stays", { [`${P}/start`]: "100ms" });
    await until("Ready", () => isReady("stays"));
    const kubelet = new KubeConfig();
    kubelet.loadFromFile(kubeconfigPath(dir, "kwok"));
    const end = kubelet
      .makeApiClient(CoreV1Api)
      .deleteNamespacedPod({ name: "stays", namespace: NS, gracePeriodSeconds: 0 });
    await assert.rejects(end, /nobody has deleted this pod/);
    assert.equal((await read("stays")).metadata?.deletionTimestamp, undefined);
  });

  it("a finalizer keeps a stopped pod until it is removed", async () => {
    await pod("held", { [`${P}/start`]: "100ms", [`${P}/stop`]: "500ms" });
    await patch("held", { "/metadata/finalizers": ["example.com/hold"] });
    await until("Ready", () => isReady("held"));
    await core.deleteNamespacedPod({ name: "held", namespace: NS });
    await until("containers ended", async () => (await read("held")).status?.phase === "Failed");
    assert.equal(condition((await read("held")).status, "Ready"), "False");
    await sleep(2000); // time in which a wrong Stage would delete it
    assert.deepEqual((await read("held")).metadata?.finalizers, ["example.com/hold"]);
    await patch("held", { "/metadata/finalizers": null });
    await until("gone", () => isGone("held"));
  });

  it("a crashing pod is never Ready and restarts; without the annotation it recovers", async () => {
    await pod("crash", { [`${P}/fail`]: "crash", [`${P}/start`]: "300ms" });
    const restarts = async (): Promise<number> =>
      (await read("crash")).status?.containerStatuses?.[0]?.restartCount ?? 0;
    await until("first crash", async () => (await restarts()) === 1);
    const { status } = await read("crash");
    assert.equal(status?.containerStatuses?.[0]?.state?.waiting?.reason, "CrashLoopBackOff");
    assert.equal(condition(status, "Ready"), "False");
    const since = (pod: V1Pod): string | undefined =>
      pod.status?.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime?.toISOString();
    const first = since(await read("crash"));
    await until("second crash", async () => (await restarts()) === 2, 20);
    assert.equal(since(await read("crash")), first, "not Ready since the first crash");
    await patch("crash", { [annotation("fail")]: null });
    await until("Ready", () => isReady("crash"));
    assert.equal(await restarts(), 2);
  });

  it("a pod can end for want of memory, crash in its init container, or lack its image", async () => {
    const init = { initContainers: [{ name: "migrate", image: "y" }] };
    await pod("oom", { [`${P}/fail`]: "oom", [`${P}/start`]: "300ms" });
    await pod("init", { [`${P}/fail`]: "init-crash", [`${P}/start`]: "300ms" }, init);
    await pod("image", { [`${P}/fail`]: "image-pull", [`${P}/start`]: "300ms" });
    const status = async (name: string) => (await read(name)).status;
    await until("OOMKilled", async () => {
      const [container] = (await status("oom"))?.containerStatuses ?? [];
      return (
        container?.state?.waiting?.reason === "CrashLoopBackOff" &&
        container.lastState?.terminated?.reason === "OOMKilled"
      );
    });
    await until("the init container crashes", async () => {
      const [container] = (await status("init"))?.initContainerStatuses ?? [];
      return container?.state?.waiting?.reason === "CrashLoopBackOff" && container.restartCount > 1;
    });
    assert.equal((await status("init"))?.phase, "Pending");
    assert.equal((await status("init"))?.containerStatuses?.[0]?.state?.waiting?.reason, "PodInitializing");
    await until("no image", async () => {
      const [container] = (await status("image"))?.containerStatuses ?? [];
      return container?.state?.waiting?.reason === "ImagePullBackOff";
    });
    assert.equal((await status("image"))?.phase, "Pending");
    for (const name of ["oom", "init", "image"]) {
      assert.equal(await isReady(name), false, name);
      await patch(name, { [annotation("fail")]: null });
    }
    for (const name of ["oom", "init", "image"]) await until(`${name} is Ready`, () => isReady(name));
  });

  it("a healthy pod can begin to crash, and a never-ready pod stays so", async () => {
    await pod("later", { [`${P}/start`]: "100ms" });
    await pod("never", { [`${P}/start`]: "100ms", [`${P}/fail`]: "never-ready" });
    await until("Ready", () => isReady("later"));
    await until("runs", async () => (await read("never")).status?.phase === "Running");
    await patch("later", { [annotation("fail")]: "crash" });
    await until("not Ready", async () => !(await isReady("later")));
    assert.equal(await isReady("never"), false);
    assert.equal((await read("never")).status?.containerStatuses?.[0]?.restartCount, 0);
  });

  it("a pod with a claim becomes Ready only when its volumes are attached", async () => {
    await config.makeApiClient(StorageV1Api).createCSIDriver({
      body: { metadata: { name: "disk.example.com" }, spec: { attachRequired: true, podInfoOnMount: false } },
    });
    await core.createPersistentVolume({
      body: {
        metadata: { name: "pv-1" },
        spec: {
          accessModes: ["ReadWriteOnce"],
          capacity: { storage: "1Gi" },
          storageClassName: "manual",
          csi: { driver: "disk.example.com", volumeHandle: "vol-1" },
        },
      },
    });
    await core.createNamespacedPersistentVolumeClaim({
      namespace: NS,
      body: {
        metadata: { name: "data" },
        spec: {
          accessModes: ["ReadWriteOnce"],
          storageClassName: "manual",
          resources: { requests: { storage: "1Gi" } },
        },
      },
    });
    await until("bound", async () => {
      return (
        (await core.readNamespacedPersistentVolumeClaim({ name: "data", namespace: NS })).status?.phase ===
        "Bound"
      );
    });
    await pod(
      "with-volume",
      { [`${P}/start`]: "100ms" },
      { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data" } }] },
    );
    const storage = config.makeApiClient(StorageV1Api);
    await until("a VolumeAttachment", async () => (await storage.listVolumeAttachment()).items.length === 1);
    await sleep(2000); // time in which a wrong Stage would start it
    assert.equal((await read("with-volume")).status?.phase, "Pending");
    await patch("with-volume", { [annotation("volumes")]: "attached" });
    await until("Ready", () => isReady("with-volume"));
  });

  it("a Job's pod completes when its annotation says so; the Job too", async () => {
    const batch = config.makeApiClient(BatchV1Api);
    await batch.createNamespacedJob({
      namespace: NS,
      body: {
        metadata: { name: "short" },
        spec: {
          template: {
            metadata: { annotations: { [`${P}/start`]: "100ms", [`${P}/complete-after`]: "1s" } },
            spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] },
          },
        },
      },
    });
    await until("Complete", async () => {
      return (
        condition((await batch.readNamespacedJob({ name: "short", namespace: NS })).status, "Complete") ===
        "True"
      );
    });
  });

  it("the scheduler, the controllers and the Eviction API work; the audit log tells who evicted", async () => {
    const apps = config.makeApiClient(AppsV1Api);
    const policy = config.makeApiClient(PolicyV1Api);
    const labels = { app: "web" };
    await apps.createNamespacedDeployment({
      namespace: NS,
      body: {
        metadata: { name: "web" },
        spec: {
          replicas: 2,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } },
        },
      },
    });
    await policy.createNamespacedPodDisruptionBudget({
      namespace: NS,
      body: { metadata: { name: "web" }, spec: { minAvailable: 2, selector: { matchLabels: labels } } },
    });
    await until("budget knows 2 healthy pods", async () => {
      return (
        (await policy.readNamespacedPodDisruptionBudget({ name: "web", namespace: NS })).status
          ?.currentHealthy === 2
      );
    });
    const [first] = (await core.listNamespacedPod({ namespace: NS, labelSelector: "app=web" })).items;
    const name = first?.metadata?.name ?? "";
    const evict = (): Promise<unknown> =>
      core.createNamespacedPodEviction({ name, namespace: NS, body: { metadata: { name, namespace: NS } } });
    await assert.rejects(evict, (error: unknown) => error instanceof ApiException && error.code === 429);
    await policy.deleteNamespacedPodDisruptionBudget({ name: "web", namespace: NS });
    await evict();
    await until("gone", () => isGone(name));

    const lines = readFileSync(sandbox.auditLog, "utf8").trim().split("\n");
    const evictions = lines
      .map((line) => JSON.parse(line) as AuditEvent)
      .filter((event) => event.objectRef?.subresource === "eviction" && event.objectRef.name === name);
    assert.deepEqual(
      evictions.map((event) => [event.user.username, event.responseStatus?.code]),
      [
        ["admin", 429],
        ["admin", 201],
      ],
    );
    assert.ok(evictions.every((event) => event.userAgent && event.stage === "ResponseComplete"));
  });
});

interface AuditEvent {
  stage: string;
  user: { username: string };
  userAgent?: string;
  objectRef?: { subresource?: string; name?: string };
  responseStatus?: { code?: number };
}

function condition(
  status: { conditions?: { type: string; status: string }[] } | undefined,
  type: string,
): string | undefined {
  return status?.conditions?.find((c) => c.type === type)?.status;
}

/** Polls until the condition holds; throws after `seconds`. */
async function until(what: string, holds: () => Promise<boolean>, seconds = 15): Promise<void> {
  const deadline = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(50);
  }
}
