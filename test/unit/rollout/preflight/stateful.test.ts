import assert from "node:assert/strict";
import { FixedPicture } from "../../../../rollout/picture.ts";
import { statefulFacts, statefulText } from "../../../../rollout/preflight/stateful.ts";
import { rolloutSchema } from "../../../../rollout/config/rollout.ts";
import { planOf } from "../../../../rollout/plan/plan.ts";
import { reportOf } from "../../../../rollout/report/report.ts";
import { reportSchema } from "../../../../rollout/report/schema.ts";
import { reportText } from "../../../../rollout/report/text.ts";
import { GREEN, named, nodeOf, NOW, podOf, refTo } from "./scene.ts";

describe("StatefulSets as the report lists them", () => {
  const pod = (ordinal: number, ready = true) =>
    podOf(`db-${ordinal}`, {
      ready,
      owner: refTo("StatefulSet", "db"),
      spec: {
        nodeName: `n${ordinal}`,
        volumes: [{ name: "data", persistentVolumeClaim: { claimName: `data-db-${ordinal}` } }],
      },
    });
  const claim = (ordinal: number, volumeName?: string) => ({
    metadata: named("PersistentVolumeClaim", `data-db-${ordinal}`),
    spec: { ...(volumeName === undefined ? {} : { volumeName }) },
  });
  const zonal = (zone: string) => ({
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: "topology.kubernetes.io/zone", operator: "In", values: [zone] }] },
        ],
      },
    },
  });
  const picture = new FixedPicture({
    Node: [nodeOf("n0"), nodeOf("n1", { pool: null }), nodeOf("n2", { pool: null })],
    StatefulSet: [
      { metadata: named("StatefulSet", "db"), spec: { replicas: 3 } },
      { metadata: named("StatefulSet", "cache"), spec: { replicas: 0 } },
    ],
    Pod: [pod(1), pod(0), pod(2, false)],
    PersistentVolumeClaim: [claim(0, "pv-0"), claim(1, "pv-1"), claim(2)],
    PersistentVolume: [
      { metadata: { name: "pv-0", uid: "0" }, spec: zonal("us-east-1a") },
      { metadata: { name: "pv-1", uid: "1" }, spec: { nfs: { server: "s", path: "/" } } },
    ],
  });
  it("have ready, target, nodes, and each claim's volume with its place", () => {
    assert.deepEqual(statefulFacts(picture), [
      { set: "shop/cache", ready: 0, wanted: 0, nodes: [], claims: [] },
      {
        set: "shop/db",
        ready: 2,
        wanted: 3,
        nodes: ["n0", "n1", "n2"],
        claims: [
          { claim: "data-db-0", volume: "pv-0", place: "zonal", where: ["us-east-1a"] },
          { claim: "data-db-1", volume: "pv-1", place: "anywhere" },
          { claim: "data-db-2", place: "unbound" },
        ],
      },
    ]);
  });
  it("are a line each", () =>
    assert.deepEqual(statefulFacts(picture).map(statefulText), [
      "shop/cache: 0 of 0 Ready, no claims",
      "shop/db: 2 of 3 Ready; data-db-0 zonal (us-east-1a), data-db-1 anywhere, data-db-2 unbound",
    ]));
  const target = { pool: "workers", generation: "bbbbbbbb", image: { ami: "ami-1" }, groups: [] };
  const config = rolloutSchema.parse({});
  it("stand in the report where something moves, as lines those with pods that do", () => {
    const look = { stack: "s", cluster: "c", config, now: NOW, notAsked: [] };
    const report = reportOf({ ...look, picture, pools: [{ target, green: GREEN }] });
    assert.equal(reportSchema.parse(report).statefulSets?.length, 2);
    assert.match(
      reportText(report),
      /\nStatefulSets: 1 with pods to move, 1 elsewhere\n {2}shop\/db: 2 of 3 Ready; data-db-0 zonal \(us-east-1a\),/,
    );
    const still = reportOf({
      ...look,
      picture,
      pools: [{ target: { ...target, generation: "aaaaaaaa" }, green: GREEN }],
    });
    assert.equal(still.statefulSets, undefined);
    assert.doesNotMatch(reportText(still), /StatefulSets/);
  });
  it("a plan counts a health window for each pod that goes last", () => {
    const web = [1, 2, 3].map((it) => podOf(`web-${it}`, it === 1 ? {} : { labels: { role: "critical" } }));
    const windows = (Pod: typeof web): number | undefined =>
      planOf({ picture: new FixedPicture({ Node: [nodeOf("n1")], Pod }), target, config, now: NOW })?.estimate
        .parts.windows;
    assert.equal(windows(web), 5 + 3 * 300);
    assert.equal(windows(web.slice(0, 1)), 5 + 300);
    assert.equal(windows(web.slice(1)), 5 + 2 * 300);
  });
  it("a plan counts a wave of several nodes once, a canary's window beside it", () => {
    const Node = ["n1", "n2", "n3"].map((name) => nodeOf(name));
    const Pod = Node.map(({ metadata }) =>
      podOf(`web-${metadata.name}`, { spec: { nodeName: metadata.name } }),
    );
    const plan = (drain: object) =>
      planOf({
        picture: new FixedPicture({ Node, Pod }),
        target,
        config: rolloutSchema.parse({ drain }),
        now: NOW,
      });
    const waves = (drain: object) => plan(drain)?.nodes.map(({ wave }) => wave);
    assert.deepEqual(
      [waves({}), waves({ maxParallel: 2 }), waves({ maxParallel: "auto" })],
      [
        [1, 2, 3],
        [1, 1, 2],
        [1, 1, 1],
      ],
    );
    assert.equal(plan({ maxParallel: "auto" })?.estimate.parts.windows, 305);
    assert.equal(plan({ maxParallel: "auto", canary: true })?.estimate.parts.windows, 605);
    assert.equal(plan({})?.estimate.parts.windows, 3 * 305);
  });
});
