import assert from "node:assert/strict";
import type { Node, Pod, PodDisruptionBudget } from "../../../../rollout/cluster/types.ts";
import { loadConfig, type RolloutConfig } from "../../../../rollout/config/index.ts";
import { rolloutSchema } from "../../../../rollout/config/rollout.ts";
import { FixedPicture } from "../../../../rollout/picture.ts";
import { brief } from "../../../../rollout/report/brief.ts";
import { reportOf } from "../../../../rollout/report/report.ts";
import { jsonSchema, type Report, reportSchema } from "../../../../rollout/report/schema.ts";
import { reportText } from "../../../../rollout/report/text.ts";
import type { Target } from "../../../../rollout/target.ts";
import { awsPools, greenSpecOf, targetOf } from "../../../../rollout/targets.ts";
import { config as sampleConfig, managed } from "../../config/samples.ts";
import { textOf } from "../../docs/tables.ts";
import { budget, node, pod } from "../builders.ts";

const NOW = Date.parse("2026-11-23T12:00:00Z");

const target: Target = {
  pool: "workers",
  generation: "bbbbbbbb",
  image: { ami: "ami-00000000000000002" },
  groups: [{ kind: "eks-managed", name: "workers-bbbbbbbb-us-east-1a", zone: "us-east-1a" }],
};
const green = {
  kind: "eks-managed" as const,
  instanceTypes: ["m7i.large"],
  capacityType: "ON_DEMAND" as const,
  labels: {},
  taints: [],
  zones: [{ zone: "us-east-1a", subnet: "subnet-1", min: 1, max: 10 }],
};

const blueNode = (name: string): Node => ({
  ...node(name, { labels: { "topology.kubernetes.io/zone": "us-east-1a" } }),
  status: {
    conditions: [{ type: "Ready", status: "True" }],
    allocatable: { cpu: "4", memory: "16Gi", pods: "58" },
  },
});

/** Ready since `startSeconds` after it was bound. */
const webPod = (name: string, nodeName: string, startSeconds = 10): Pod =>
  pod(name, {
    labels: { app: "web" },
    spec: { nodeName, terminationGracePeriodSeconds: 20 },
    status: {
      phase: "Running",
      conditions: [
        { type: "PodScheduled", status: "True", lastTransitionTime: "2026-11-23T10:00:00Z" },
        {
          type: "Ready",
          status: "True",
          lastTransitionTime: new Date(
            Date.parse("2026-11-23T10:00:00Z") + startSeconds * 1000,
          ).toISOString(),
        },
      ],
    },
  });

const webBudget = (allowed: number): PodDisruptionBudget =>
  budget("web", {
    status: {
      disruptionsAllowed: allowed,
      currentHealthy: 4,
      desiredHealthy: 4 - allowed,
      expectedPods: 4,
      observedGeneration: 1,
    },
  });

const owner = {
  metadata: { name: "web", namespace: "shop", uid: "uid-web" },
  spec: { replicas: 4 },
};

function report(
  budgets: PodDisruptionBudget[] = [webBudget(1)],
  rollout: object = {},
  nodes = [blueNode("n1"), blueNode("n2")],
): Report {
  const config: RolloutConfig = rolloutSchema.parse(rollout);
  const pods = ["n1", "n1", "n1", "n2"].map((on, at) => webPod(`web-${at}`, on));
  const picture = new FixedPicture({
    Node: nodes,
    Pod: nodes.length === 0 ? [] : pods,
    PodDisruptionBudget: budgets,
    ReplicaSet: [owner],
  });
  return reportOf({
    stack: "prod",
    cluster: "prod",
    config,
    picture,
    now: NOW,
    notAsked: ["this and that"],
    pools: [{ target, green }],
  });
}
const only = (it: Report): Report["pools"][number] => {
  const [pool] = it.pools;
  assert.ok(pool);
  return pool;
};

describe("the plan", () => {
  it("drains node by node, with the reason for each place and the budgets that it uses", () => {
    const { plan } = only(report());
    assert.deepEqual(
      plan?.nodes.map(({ node, wave, why, evictions, budgets }) => ({ node, wave, why, evictions, budgets })),
      [
        {
          node: "n1",
          wave: 1,
          why: "stateless pods only",
          evictions: 3,
          budgets: [{ budget: "shop/web", pods: 3, allowed: 1 }],
        },
        {
          node: "n2",
          wave: 2,
          why: "stateless pods only",
          evictions: 1,
          budgets: [{ budget: "shop/web", pods: 1, allowed: 1 }],
        },
      ],
    );
    assert.deepEqual(plan?.green, { "us-east-1a": 2 });
  });
  it("shows the nodes first that hold what an earlier handover has left not Ready", () => {
    const bad = webPod("web-bad", "n2");
    const picture = new FixedPicture({
      Node: [blueNode("n1"), blueNode("n2")],
      Pod: [webPod("web-0", "n1"), { ...bad, status: { phase: "Running", conditions: [] } }],
      ReplicaSet: [{ ...owner, spec: { replicas: 2 } }],
    });
    const config = rolloutSchema.parse({});
    const look = { stack: "prod", cluster: "prod", config, picture, now: NOW, notAsked: [] };
    const order = (owed: Record<string, number>): string[] =>
      only(reportOf({ ...look, pools: [{ target, green, owed }] })).plan?.nodes.map(
        ({ node, why }) => `${node} ${why}`,
      ) ?? [];
    assert.deepEqual(order({ "uid-web": 0 }), [
      "n2 holds shop/web-bad, which an earlier handover has left not Ready",
      "n1 stateless pods only",
    ]);
    assert.deepEqual(order({ "uid-web": 1 }), ["n1 stateless pods only", "n2 stateless pods only"]);
  });
  it("estimates from what the pods took to start, how many may go at a time, their grace and the windows", () => {
    const { plan } = only(report([webBudget(1)], { health: { windowSeconds: 300 } }));
    // three rounds of 10 s on n1 and one on n2; each time the last old pod goes on for 20 s, 10 s beyond its replacement's start
    assert.deepEqual(plan?.estimate.parts, { green: 240, start: 40, stop: 20, windows: 610 });
    assert.equal(plan?.estimate.seconds, 910);
    // two green nodes for 910 s
    assert.equal(plan?.estimate.extraNodeHours, 0.5);
    const roomier = only(report([webBudget(3)], { health: { windowSeconds: 300 } })).plan;
    assert.equal(roomier?.estimate.parts.start, 20);
  });
  it("warns when the estimate exceeds rollout.maxDurationSeconds, or else the CI job's limit", () => {
    const rules = (rollout: object): string[] =>
      only(report([webBudget(1)], rollout))
        .findings.filter(({ rule }) => rule === "too-long")
        .map(({ why, object }) => `${object.kind} ${object.name}: ${why}`);
    assert.deepEqual(rules({}), []);
    assert.deepEqual(rules({ maxDurationSeconds: 900 }), [
      "Pool workers: its handover takes about 15 min, more than rollout.maxDurationSeconds allows (15 min): it will pause at a safe point",
    ]);
    assert.deepEqual(rules({ jobTimeoutSeconds: 600 }), [
      "Pool workers: its handover takes about 15 min, more than the CI job may (rollout.jobTimeoutSeconds, 10 min): it would be killed in mid-handover",
    ]);
  });
});

describe("the report", () => {
  it("is clear, blocked, or has nothing to move", () => {
    assert.equal(report().verdict, "clear");
    assert.equal(report([webBudget(0)]).verdict, "blocked");
    assert.equal(report([webBudget(0)], {}, []).verdict, "nothing to move");
  });
  it("keeps to the published schema, which is docs/preflight.schema.json", () => {
    for (const it of [report(), report([webBudget(0)]), report([], {}, [])])
      reportSchema.parse(JSON.parse(JSON.stringify(it)));
    assert.deepEqual(
      JSON.parse(textOf("docs/preflight.schema.json")),
      JSON.parse(JSON.stringify(jsonSchema())),
    );
  });
  it("is the same when nothing has changed but the time", () => {
    assert.deepEqual(brief(report([webBudget(0)])), brief(report([webBudget(0)])));
    assert.doesNotMatch(JSON.stringify(brief(report([webBudget(0)]))), /2026-/);
  });
  it("says all of it in text: verdict, object, why, fix, and the plan as a table", () => {
    const text = reportText(report([webBudget(0)]));
    assert.match(
      text,
      /^Stack prod, cluster prod: BLOCKED by 1 finding\. Until that clears `pulumi up` pauses/,
    );
    assert.match(text, /\n {2}BLOCKS {3}PodDisruptionBudget shop\/web\n {11}.+\n {11}to go on: .+\n/);
    assert.match(text, /\n {2}wave {2}node {2}zone .*budgets used\n {2}1 .*n1 .*us-east-1a .*3 /);
    assert.match(text, /Note: this and that/);
  });
  it("is empty in the stack output when nothing moves, and capped when much does", () => {
    assert.deepEqual(brief(report([], {}, [])), {});
    const nodes = Array.from({ length: 30 }, (_, at) => blueNode(`m${at}`));
    const short = brief(report([webBudget(1)], {}, nodes))["workers"];
    assert.equal(short?.order.length, 21);
    assert.equal(short?.order.at(-1), "and 10 more nodes");
  });
});

describe("targets from the config", () => {
  it("green's spec has the pool's labels, taints and sizes", () => {
    const [found] = awsPools(loadConfig(sampleConfig([managed()])));
    assert.ok(found);
    const { generation } = targetOf(found, "prod");
    const spec = greenSpecOf(found, generation);
    assert.equal(spec.labels["patchguard.dev/generation"], generation);
    assert.deepEqual(
      spec.zones.map(({ zone }) => zone),
      Object.keys(found.zones).toSorted(),
    );
  });
});
