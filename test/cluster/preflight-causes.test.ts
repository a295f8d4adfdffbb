/** Each root cause of a blocking budget, produced on a real API server with the real controllers, and recognised. */
import assert from "node:assert/strict";
import { KubeConfig } from "@kubernetes/client-node";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import type { Cluster } from "../../rollout/cluster/cluster.ts";
import { rolloutSchema } from "../../rollout/config/rollout.ts";
import { type Finding, sentence } from "../../rollout/finding.ts";
import { findings } from "../../rollout/preflight/findings.ts";
import { takeSnapshot } from "../../rollout/snapshot.ts";
import { sandboxStatus } from "../../sandbox/sandbox.ts";
import { addFakeNodes, removeFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";
import {
  apply,
  budget,
  deployment,
  type Manifest,
  namespace,
  objectPath,
  type PodOptions,
  statefulSet,
} from "../support/workloads.ts";

const FAIL = "sandbox.patchguard.dev/fail";
/** On a loaded machine the controllers take their time; an autoscaler looks every 15 s. */
const SECONDS = 120;

interface Expected {
  rule: string;
  why: RegExp;
  fix: RegExp;
  severity?: "block" | "warning";
}

describe("root causes of budgets on a real API server", function () {
  this.timeout((SECONDS + 30) * 1000);
  const sandbox = useSandbox();
  const run = Date.now().toString(36);
  const blue = [`blue1-${run}`, `blue2-${run}`];
  const own = { nodeSelector: { "test.example.com/set": run } };
  let cluster: Cluster;
  const spaces: string[] = [];

  before("two blue nodes", async () => {
    const { test, view, sandbox: box } = sandbox();
    const config = new KubeConfig();
    config.loadFromFile(box.kubeconfig);
    cluster = createCluster(config, {
      requestTimeoutSeconds: 30,
      userAgent: "patchguard/test",
      clock: systemClock,
    });
    await addFakeNodes(
      test.api,
      blue.map((name) => ({
        name,
        pool: "workers",
        generation: "aaaaaaaa",
        labels: { "test.example.com/set": run },
      })),
    );
    await view.nodesReady(blue);
  });

  // only of use where the sandbox is somebody's, and left running
  after("take everything away", async () => {
    if (process.env["PATCHGUARD_TEST_SANDBOX"] === undefined) return;
    const { test } = sandbox();
    for (const space of spaces) await test.api.request("DELETE", `/api/v1/namespaces/${space}`);
    await removeFakeNodes(test.api, blue);
  });

  /** What pre-flight says now, or as it would say it `later` seconds from now if nothing changed. */
  async function said(space: string, later = 0): Promise<Finding[]> {
    const found = findings({
      picture: await takeSnapshot(cluster),
      target: { pool: "workers", generation: "bbbbbbbb", image: { ami: "ami-1" }, groups: [] },
      config: rolloutSchema.parse({}),
      now: Date.now() + later * 1000,
    });
    return found.filter(({ object }) => object.kind === "PodDisruptionBudget" && object.namespace === space);
  }

  async function space(name: string): Promise<string> {
    const { test } = sandbox();
    const full = `${name}-${spaces.length}-${run}`;
    spaces.push(full);
    await apply(test.api, namespace(full));
    return full;
  }

  /** Waits until pre-flight has exactly this to say about the namespace's budgets. */
  async function recognised(space: string, expected: Expected, later = 0): Promise<Finding> {
    let last: Finding[] = [];
    const matches = ([found, ...others]: Finding[]): boolean =>
      found !== undefined &&
      others.length === 0 &&
      found.rule === expected.rule &&
      expected.why.test(found.why) &&
      expected.fix.test(found.fix);
    const is = async (): Promise<boolean> => {
      last = await said(space, later);
      return matches(last);
    };
    try {
      await until(`${expected.rule} in ${space}`, is, SECONDS);
    } catch (error) {
      const text = last.map((it) => `${it.rule}: ${sentence(it)}`).join("\n") || "nothing";
      throw new Error(`pre-flight said: ${text}`, { cause: error });
    }
    const [found] = last;
    assert.ok(found);
    assert.equal(found.severity, expected.severity ?? "block");
    return found;
  }

  const web = (ns: string, replicas: number, options: Partial<PodOptions> = {}): Manifest =>
    deployment({ name: "web", namespace: ns, replicas, start: "200ms", stop: "200ms", ...own, ...options });
  const webBudget = (ns: string, limits: object): Manifest =>
    budget({ name: "web", namespace: ns, ...limits });
  /** One more pod than the budget needs, so that a rollout which goes wrong at its first pod spends it. */
  async function badRollout(
    name: string,
    template: object,
    options: Partial<PodOptions> = {},
  ): Promise<string> {
    const { test, view } = sandbox();
    const ns = await space(name);
    const oneByOne = { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } };
    const object = deployment({
      name: "web",
      namespace: ns,
      replicas: 3,
      start: "200ms",
      stop: "200ms",
      ...own,
      ...options,
      strategy: oneByOne,
    });
    await apply(test.api, object, webBudget(ns, { minAvailable: 2 }));
    await view.ready("web", 3, SECONDS, ns);
    await view.budgetAllows(`${ns}/web`, 1, SECONDS);
    assert.deepEqual(await said(ns), [], "it has room before");
    await test.api.request("PATCH", objectPath(object), { spec: { template } });
    return ns;
  }
  const failing = (how: string): object => ({ metadata: { annotations: { [FAIL]: how } } });
  const numbers = "needs 2 healthy and has 2 of 3; ";

  it("scaled down by kubectl: who did it stands in the managed fields", async () => {
    const { kubectl, view } = sandbox();
    const ns = await space("scaled");
    await apply(kubectl.api, web(ns, 3), webBudget(ns, { minAvailable: 2 }));
    await view.ready("web", 3, SECONDS, ns);
    assert.deepEqual(await said(ns), [], "it has room before");
    await kubectl.api.request("PATCH", `${objectPath(web(ns, 3))}/scale`, { spec: { replicas: 1 } });
    const found = await recognised(ns, {
      rule: "budget-scaled-down",
      why: /needs 2 healthy and has 1 of 1; minAvailable 2 is more than the replicas that are wanted: Deployment \S+\/web wants 1 replica \(last scaled by kubectl\)$/,
      fix: /kubectl -n \S+ scale deployment\/web --replicas=3/,
    });
    assert.equal(found.object.name, "web");
  });

  it("scaled down by a write of the object: who and when stand in the managed fields", async () => {
    const { kubectl, view } = sandbox();
    const ns = await space("written");
    await apply(kubectl.api, web(ns, 3), webBudget(ns, { minAvailable: 2 }));
    await view.ready("web", 3, SECONDS, ns);
    await sandbox().test.api.request("PATCH", objectPath(web(ns, 3)), { spec: { replicas: 1 } });
    await recognised(ns, {
      rule: "budget-scaled-down",
      why: /Deployment \S+\/web wants 1 replica \(set by \S+ at \d{4}-\S+Z\)$/,
      fix: /kubectl -n \S+ scale deployment\/web --replicas=3/,
    });
  });

  it("scaled down by an autoscaler that is at its minimum", async () => {
    const { test } = sandbox();
    const ns = await space("hpa");
    await apply(test.api, web(ns, 3), webBudget(ns, { minAvailable: 2 }), {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "web", namespace: ns },
      spec: {
        minReplicas: 1,
        maxReplicas: 1,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
        metrics: [
          {
            type: "Resource",
            resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 80 } },
          },
        ],
      },
    });
    await recognised(ns, {
      rule: "budget-scaled-down",
      why: /Deployment \S+\/web wants 1 replica \(HorizontalPodAutoscaler \S+\/web is at its minimum of 1\)$/,
      fix: /patch hpa web --type merge -p '\{"spec":\{"minReplicas":3,"maxReplicas":3\}\}'/,
    });
  });

  const specs: [what: string, replicas: number, limits: object, expected: Expected][] = [
    [
      "minAvailable equals the replicas",
      2,
      { minAvailable: 2 },
      {
        rule: "budget-min-available-all",
        why: /needs 2 healthy and has 2 of 2; minAvailable 2 is as many replicas as are wanted: Deployment \S+\/web wants 2 replicas/,
        fix: /"maxUnavailable":1/,
      },
    ],
    [
      "minAvailable 100%",
      2,
      { minAvailable: "100%" },
      { rule: "budget-min-available-all", why: /asks for every replica/, fix: /"maxUnavailable":1/ },
    ],
    [
      "a percentage that rounds up to all",
      3,
      { minAvailable: "70%" },
      {
        rule: "budget-min-available-all",
        why: /minAvailable 70% of 3 rounds up to 3, which is every replica/,
        fix: /--replicas=4/,
      },
    ],
    [
      "maxUnavailable 0",
      2,
      { maxUnavailable: 0 },
      {
        rule: "budget-max-unavailable-zero",
        why: /needs 2 healthy and has 2 of 2; maxUnavailable 0 never allows one/,
        fix: /rollout\.preflight\.byDesign/,
      },
    ],
  ];
  for (const [what, replicas, limits, expected] of specs) {
    it(what, async () => {
      const ns = await space("spec");
      await apply(sandbox().test.api, web(ns, replicas), webBudget(ns, limits));
      await recognised(ns, expected);
    });
  }

  it("a crash loop: container, exit code, restarts, since when", async () => {
    const ns = await badRollout("crash", failing("crash"));
    await recognised(ns, {
      rule: "budget-crash-loop",
      why: new RegExp(
        `${numbers}container main of pod ${ns}/web-\\S+ is in CrashLoopBackOff: last ended with exit code 1 \\(Error\\) at \\S+Z, \\d+ restarts?, not Ready since \\S+Z$`,
      ),
      fix: /kubectl -n \S+ logs web-\S+ -c main --previous.*kubectl -n \S+ rollout undo deployment\/web/,
    });
  });

  it("a crash loop of an init container", async () => {
    const spec = { initContainers: [{ name: "migrate", image: "example.com/migrate:1" }] };
    const ns = await badRollout("init", failing("init-crash"), { spec });
    await recognised(ns, {
      rule: "budget-crash-loop",
      why: new RegExp(`${numbers}init container migrate of pod ${ns}/web-\\S+ is in CrashLoopBackOff`),
      fix: /logs web-\S+ -c migrate --previous/,
    });
  });

  it("out of memory: container and limit", async () => {
    const containers = [
      { name: "main", image: "example.com/main:1", resources: { limits: { memory: "64Mi" } } },
    ];
    const ns = await badRollout("oom", failing("oom"), { spec: { containers } });
    await recognised(ns, {
      rule: "budget-oom-killed",
      why: new RegExp(
        `${numbers}container main of pod ${ns}/web-\\S+ was OOMKilled at \\S+Z at its memory limit of 64Mi, \\d+ restarts?`,
      ),
      fix: /raise the memory limit of container main above 64Mi in Deployment \S+\/web/,
    });
  });

  it("an image that cannot be pulled", async () => {
    const ns = await badRollout("image", {
      ...failing("image-pull"),
      spec: { containers: [{ name: "main", image: "registry.example.com/web:2" }] },
    });
    await recognised(ns, {
      rule: "budget-image-pull",
      why: new RegExp(
        `${numbers}container main of pod ${ns}/web-\\S+ is in ImagePullBackOff with image registry.example.com/web:2 \\("Back-off pulling image`,
      ),
      fix: /correct the image or the pull secret of container main in Deployment \S+\/web/,
    });
  });

  it("unschedulable: the scheduler's own words", async () => {
    const ns = await badRollout("pending", { spec: { nodeSelector: { "test.example.com/nowhere": "yes" } } });
    await recognised(ns, {
      rule: "budget-unschedulable",
      why: new RegExp(
        `${numbers}pod ${ns}/web-\\S+ is Pending, Unschedulable since \\S+Z: "0/\\d+ nodes are available: .*node affinity/selector`,
      ),
      fix: /kubectl -n \S+ describe pod web-/,
    });
  });

  it("pods that have just been started, and the same pods when they are still not Ready later", async () => {
    const ns = await badRollout("unready", failing("never-ready"));
    await recognised(ns, {
      rule: "budget-pods-starting",
      why: new RegExp(`${numbers}its pods are on their way: pod ${ns}/web-\\S+ was started at \\S+Z`),
      fix: /wait until they are Ready: `kubectl -n \S+ get pods -l app=web -w`/,
    });
    const later = {
      rule: "budget-pods-not-ready",
      why: new RegExp(
        `${numbers}container main of pod ${ns}/web-\\S+ runs, but its readiness probe does not pass, not Ready since \\S+Z$`,
      ),
      fix: /kubectl -n \S+ describe pod web-/,
    };
    await recognised(ns, later, 600);
  });

  it("an app that is down already, under the default policy for unhealthy pods", async () => {
    const { test } = sandbox();
    const ns = await space("down");
    await apply(
      test.api,
      web(ns, 2, { annotations: { [FAIL]: "never-ready" } }),
      webBudget(ns, { minAvailable: 1 }),
    );
    const expected = {
      rule: "budget-already-down",
      why: /needs 1 healthy and has 0 of 2; none of its 2 pods is Ready, so the app is down already, and unhealthyPodEvictionPolicy IfHealthyBudget \(the default\) keeps even the broken ones from being evicted: container main of pod/,
      fix: /"unhealthyPodEvictionPolicy":"AlwaysAllow"/,
    };
    await recognised(ns, expected, 600);
  });

  it("a quota that keeps pods from being created", async () => {
    const { test } = sandbox();
    const ns = await space("quota");
    await apply(
      test.api,
      {
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: { name: "team", namespace: ns },
        spec: { hard: { pods: "2" } },
      },
      web(ns, 3),
      webBudget(ns, { minAvailable: 2 }),
    );
    await recognised(ns, {
      rule: "budget-pods-not-created",
      why: new RegExp(
        `Deployment ${ns}/web has 2 of 3 pods and cannot create the others: ".*exceeded quota: team`,
      ),
      fix: /raise ResourceQuota \S+\/team/,
    });
  });

  it("a StatefulSet whose pods a quota keeps from being created", async () => {
    const { test } = sandbox();
    const ns = await space("setquota");
    await apply(
      test.api,
      {
        apiVersion: "v1",
        kind: "ResourceQuota",
        metadata: { name: "team", namespace: ns },
        spec: { hard: { pods: "2" } },
      },
      statefulSet({ name: "web", namespace: ns, replicas: 3, start: "200ms", ...own }),
      webBudget(ns, { maxUnavailable: 1 }),
    );
    await recognised(ns, {
      rule: "budget-pods-not-created",
      why: new RegExp(
        `${numbers}StatefulSet ${ns}/web has 2 of 3 pods, all of them healthy, and none of the others has been created$`,
      ),
      fix: /kubectl -n \S+ describe statefulset web/,
    });
  });

  it("a pod that a finalizer keeps after its end", async () => {
    const { test, view } = sandbox();
    const ns = await space("held");
    await apply(
      test.api,
      statefulSet({
        name: "web",
        namespace: ns,
        replicas: 3,
        start: "200ms",
        stop: "200ms",
        terminationGracePeriodSeconds: 1,
        ...own,
      }),
      webBudget(ns, { maxUnavailable: 1 }),
    );
    await view.ready("web", 3, SECONDS, ns);
    const pod = `/api/v1/namespaces/${ns}/pods/web-2`;
    await test.api.request("PATCH", pod, { metadata: { finalizers: ["example.com/hold"] } });
    await test.api.request("DELETE", pod);
    const expected = {
      rule: "budget-pods-not-ready",
      why: new RegExp(
        `pod ${ns}/web-2 is still terminating, past its grace period that ended at \\S+Z, held by finalizer example.com/hold$`,
      ),
      fix: /help the controller that set the finalizer/,
    };
    try {
      await recognised(ns, expected, 600);
    } finally {
      await test.api.request("PATCH", pod, { metadata: { finalizers: null } });
    }
  });

  it("an operator's primary: by design while it is healthy, a fault when it crashes", async () => {
    const { test } = sandbox();
    const labels = { "cnpg.io/cluster": "db", "cnpg.io/instanceRole": "primary" };
    const instances = (ns: string, annotations: Record<string, string>): Manifest[] => [
      statefulSet({ name: "db", namespace: ns, start: "200ms", stop: "200ms", ...own, labels, annotations }),
      {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: { name: "db-primary", namespace: ns, labels: { "cnpg.io/cluster": "db" } },
        spec: { minAvailable: 1, selector: { matchLabels: labels } },
      },
    ];
    const well = await space("primary");
    const ill = await space("primary-ill");
    await apply(test.api, ...instances(well, {}), ...instances(ill, { [FAIL]: "crash" }));
    await recognised(well, {
      rule: "budget-by-design",
      severity: "warning",
      why: /by design \(CloudNativePG switches the primary over by itself\); needs 1 healthy and has 1 of 1/,
      fix: /nothing/,
    });
    await recognised(ill, {
      rule: "budget-crash-loop",
      why: new RegExp(
        `needs 1 healthy and has 0 of 1; container main of pod ${ill}/db-0 is in CrashLoopBackOff`,
      ),
      fix: /AlwaysAllow/,
    });
  });

  it("a Job's pod under maxUnavailable: the disruption controller gives the whole budget up", async () => {
    const { test } = sandbox();
    const ns = await space("job");
    await apply(test.api, web(ns, 2), webBudget(ns, { maxUnavailable: 1 }), {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: "migrate", namespace: ns },
      spec: {
        template: {
          metadata: { labels: { app: "web" } },
          spec: {
            restartPolicy: "Never",
            ...own,
            containers: [{ name: "main", image: "example.com/migrate:1" }],
          },
        },
      },
    });
    await recognised(ns, {
      rule: "budget-sync-failed",
      why: new RegExp(
        `the disruption controller cannot work it out: "jobs.batch does not implement the scale subresource"; it selects pod ${ns}/migrate-\\S+ of Job migrate$`,
      ),
      fix: /narrow its selector/,
    });
  });

  it("bare pods under maxUnavailable count for nothing, and are refused", async () => {
    const { test, view } = sandbox();
    const ns = await space("bare");
    // without its service account the API server takes no bare pod
    await until(
      "the namespace has its service account",
      async () =>
        (await test.api.request<{ items: unknown[] }>("GET", `/api/v1/namespaces/${ns}/serviceaccounts`))
          .items.length > 0,
      SECONDS,
    );
    const pods = ["a", "b"].map((name) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: ns, labels: { app: "web" } },
      spec: { ...own, containers: [{ name: "main", image: "example.com/main:1" }] },
    }));
    await apply(test.api, ...pods, webBudget(ns, { maxUnavailable: 1 }));
    await recognised(ns, {
      rule: "budget-unmanaged-pods",
      why: /needs 0 healthy and has 2 of 0; maxUnavailable 1 counts only pods with a controller, and pod \S+\/a, pod \S+\/b have none/,
      fix: /"maxUnavailable":null,"minAvailable":1/,
    });
    const pod = view.podsOf("web", ns)[0];
    assert.ok(pod);
    await assert.rejects(sandbox().kubectl.evict(pod, { dryRun: ["All"] }), /429/);
  });

  it("a stale status: nobody sees the budget's new spec, and every eviction is refused", async () => {
    const { test, kubectl, view, sandbox: box } = sandbox();
    const ns = await space("stale");
    const guard = webBudget(ns, { minAvailable: 1 });
    await apply(test.api, web(ns, 3), guard);
    const [pod] = await view.ready("web", 3, SECONDS, ns);
    await view.budgetAllows(`${ns}/web`, 2, SECONDS);
    const { components } = await sandboxStatus({ dir: box.dir });
    const pid = components.find(({ name }) => name === "kube-controller-manager")?.pid;
    assert.ok(pid !== undefined && pod !== undefined);
    process.kill(pid, "SIGSTOP");
    try {
      await test.api.request("PATCH", objectPath(guard), { spec: { minAvailable: 2 } });
      const [found, ...others] = await said(ns);
      assert.deepEqual(others, []);
      assert.equal(found?.rule, "budget-stale");
      assert.match(
        sentence(found),
        /its status is older than its spec \(generation 2, seen by the disruption controller: 1\).*kube-controller-manager/,
      );
      await assert.rejects(kubectl.evict(pod, { dryRun: ["All"] }), /429/);
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await until("it has caught up, and has room", async () => (await said(ns)).length === 0, SECONDS);
  });

  it("two budgets over one pod: the pod is named, and the Eviction API's own answer is as foretold", async () => {
    const { test, kubectl, view } = sandbox();
    const ns = await space("several");
    const second = budget({ name: "web-old", namespace: ns, app: "web", maxUnavailable: 1 });
    await apply(test.api, web(ns, 2), webBudget(ns, { minAvailable: 1 }), second);
    const pods = await view.ready("web", 2, SECONDS, ns);
    const found = findings({
      picture: await takeSnapshot(cluster),
      target: { pool: "workers", generation: "bbbbbbbb", image: { ami: "ami-1" }, groups: [] },
      config: rolloutSchema.parse({}),
      now: Date.now(),
    }).filter(
      ({ object, rule }) => object.namespace === ns && object.kind === "Pod" && rule === "several-budgets",
    );
    assert.deepEqual(
      found.map(({ severity, object }) => `${severity} ${object.kind} ${object.name}`),
      pods.map(({ metadata }) => `block Pod ${metadata.name}`).toSorted(),
    );
    for (const { why } of found) assert.match(why, /2 budgets select it \(web, web-old\)/);
    const [pod] = pods;
    assert.ok(pod);
    await assert.rejects(kubectl.evict(pod, { dryRun: ["All"] }), /more than one PodDisruptionBudget/);
    // the disruption controller keeps only one of the two up to date, whichever it is
    const isOverlap = async (): Promise<boolean> =>
      (await said(ns)).every(({ rule, severity }) => rule === "several-budgets" && severity === "block");
    await until("the budgets themselves have room, or say why not", isOverlap, SECONDS);
  });

  it("a budget that selects nothing warns", async () => {
    const { test, view } = sandbox();
    const ns = await space("warns");
    await apply(
      test.api,
      web(ns, 2),
      webBudget(ns, { minAvailable: 1 }),
      budget({ name: "lost", namespace: ns, app: "no-such-app", minAvailable: 1 }),
    );
    await view.ready("web", 2, SECONDS, ns);
    await recognised(ns, {
      rule: "budget-selects-nothing",
      severity: "warning",
      why: /it selects no pod and no workload of its namespace \(selector app=no-such-app\)/,
      fix: /kubectl -n \S+ delete pdb lost/,
    });
  });
});
