import assert from "node:assert/strict";
import type {
  Affinity,
  Namespace,
  Pod,
  PodAffinityTerm,
  PodSpec,
  TopologySpreadConstraint,
} from "../../../../rollout/cluster/types.ts";
import { nodeAt, on, podWith, said } from "./world.ts";

const HOST = "kubernetes.io/hostname";
const ZONE = "topology.kubernetes.io/zone";
const web = { matchLabels: { app: "web" } };
const A = nodeAt("a", { zone: "us-east-1a" });
const B = nodeAt("b", { zone: "us-east-1b" });
const NOT_WITH = "with pods that its anti-affinity keeps it from in the same";
const KEPT_FROM = "with pods whose anti-affinity keeps it from the same";
const WITHOUT = "without the pods that its affinity asks for in the same";

const near = (...terms: PodAffinityTerm[]): Affinity => ({
  podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms },
});
const apart = (...terms: PodAffinityTerm[]): Affinity => ({
  podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms },
});
const labelled = (
  name: string,
  labels: Record<string, string>,
  spec: PodSpec = {},
  namespace = "shop",
): Pod => podWith(name, spec, { labels, namespace });

describe("required anti-affinity", () => {
  const there = [on("a", podWith("x"))];
  const table: [what: string, pod: Pod, others: Pod[], expected: Record<string, string>][] = [
    [
      "keeps the pod from others",
      podWith("p", { affinity: apart({ topologyKey: HOST, labelSelector: web }) }),
      there,
      { a: `${NOT_WITH} ${HOST}`, b: "yes" },
    ],
    [
      "others keep the pod from them",
      labelled("p", { app: "api" }),
      [
        on(
          "a",
          podWith("x", {
            affinity: apart({ topologyKey: HOST, labelSelector: { matchLabels: { app: "api" } } }),
          }),
        ),
      ],
      { a: `${KEPT_FROM} ${HOST}`, b: "yes" },
    ],
    [
      "does not see other namespaces",
      podWith("p", { affinity: apart({ topologyKey: HOST, labelSelector: web }) }),
      [on("a", labelled("x", { app: "web" }, {}, "other"))],
      { a: "yes", b: "yes" },
    ],
    [
      "sees namespaces that it names",
      podWith("p", { affinity: apart({ topologyKey: HOST, labelSelector: web, namespaces: ["other"] }) }),
      [...there, on("b", labelled("x2", { app: "web" }, {}, "other"))],
      { a: "yes", b: `${NOT_WITH} ${HOST}` },
    ],
    [
      "sees namespaces that it selects",
      podWith("p", {
        affinity: apart({
          topologyKey: HOST,
          labelSelector: web,
          namespaceSelector: { matchLabels: { team: "x" } },
        }),
      }),
      [...there, on("b", labelled("x2", { app: "web" }, {}, "other"))],
      { a: "yes", b: `${NOT_WITH} ${HOST}` },
    ],
    [
      "sees all namespaces",
      podWith("p", { affinity: apart({ topologyKey: HOST, labelSelector: web, namespaceSelector: {} }) }),
      [on("b", labelled("x2", { app: "web" }, {}, "other"))],
      { a: "yes", b: `${NOT_WITH} ${HOST}` },
    ],
    [
      "without a selector it is about no pod",
      podWith("p", { affinity: apart({ topologyKey: HOST }) }),
      there,
      { a: "yes", b: "yes" },
    ],
    [
      "a node without the topology key is free",
      podWith("p", { affinity: apart({ topologyKey: "rack", labelSelector: web }) }),
      there,
      { a: "yes", b: "yes" },
    ],
    [
      "matchLabelKeys: its own value",
      labelled(
        "p",
        { app: "web", hash: "2" },
        { affinity: apart({ topologyKey: HOST, labelSelector: web, matchLabelKeys: ["hash"] }) },
      ),
      [on("a", labelled("x", { app: "web", hash: "1" })), on("b", labelled("y", { app: "web", hash: "2" }))],
      { a: "yes", b: `${NOT_WITH} ${HOST}` },
    ],
    [
      "mismatchLabelKeys: any value but its own",
      labelled(
        "p",
        { app: "web", hash: "2" },
        { affinity: apart({ topologyKey: HOST, labelSelector: web, mismatchLabelKeys: ["hash"] }) },
      ),
      [on("a", labelled("x", { app: "web", hash: "1" })), on("b", labelled("y", { app: "web", hash: "2" }))],
      { a: `${NOT_WITH} ${HOST}`, b: "yes" },
    ],
  ];
  for (const [what, pod, others, expected] of table) {
    it(what, () => {
      const spaces: Namespace[] = [
        { metadata: { name: "other", uid: "o", labels: { team: "x" } } },
        { metadata: { name: "shop", uid: "s" } },
      ];
      assert.deepEqual(said(pod, { Node: [A, B], Pod: others, Namespace: spaces }), expected);
    });
  }
});

describe("required affinity", () => {
  it("wants pods that match all terms in every domain", () => {
    const pod = podWith("p", {
      affinity: near(
        { topologyKey: ZONE, labelSelector: web },
        { topologyKey: ZONE, labelSelector: { matchLabels: { tier: "1" } } },
      ),
    });
    const others = [
      on("a", labelled("x", { app: "web" })),
      on("b", labelled("y", { app: "web", tier: "1" })),
    ];
    assert.deepEqual(said(pod, { Node: [A, B], Pod: others }), { a: `${WITHOUT} ${ZONE}`, b: "yes" });
  });
  it("the first of a group goes anywhere, if it matches itself and the node has the label", () => {
    const own = podWith("p", { affinity: near({ topologyKey: ZONE, labelSelector: web }) });
    assert.deepEqual(said(own, { Node: [A, B] }), { a: "yes", b: "yes" });
    const other = podWith("p", {
      affinity: near({ topologyKey: ZONE, labelSelector: { matchLabels: { app: "db" } } }),
    });
    assert.deepEqual(said(other, { Node: [A] }), { a: `${WITHOUT} ${ZONE}` });
    const rack = podWith("p", { affinity: near({ topologyKey: "rack", labelSelector: web }) });
    assert.deepEqual(said(rack, { Node: [A] }), { a: "without the label rack" });
  });
  it("the second follows the first", () => {
    const own = podWith("p", { affinity: near({ topologyKey: ZONE, labelSelector: web }) });
    assert.deepEqual(said(own, { Node: [A, B], Pod: [on("b", podWith("x"))] }), {
      a: `${WITHOUT} ${ZONE}`,
      b: "yes",
    });
  });
});

describe("hard topology spread", () => {
  const spread = (change: Partial<TopologySpreadConstraint> = {}): TopologySpreadConstraint => ({
    maxSkew: 1,
    topologyKey: HOST,
    whenUnsatisfiable: "DoNotSchedule",
    labelSelector: web,
    ...change,
  });
  const full = `full by its topology spread over ${HOST} (maxSkew 1)`;
  const pod = (
    change: Partial<TopologySpreadConstraint> = {},
    spec: PodSpec = {},
    labels = { app: "web" },
  ): Pod => labelled("p", labels, { topologySpreadConstraints: [spread(change)], ...spec });
  const one = [on("a", podWith("x"))];
  const cordoned = nodeAt("c", {
    spec: {
      unschedulable: true,
      taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }],
    },
  });

  it("counts up to maxSkew above the least", () => {
    assert.deepEqual(said(pod(), { Node: [A, B], Pod: one }), { a: full, b: "yes" });
    assert.deepEqual(said(pod({ maxSkew: 2 }), { Node: [A, B], Pod: one }), { a: "yes", b: "yes" });
  });
  it("a closed node is an empty domain unless taints are honored", () => {
    const both = [...one, on("b", podWith("y"))];
    assert.deepEqual(said(pod(), { Node: [A, B, cordoned], Pod: both }), { a: full, b: full, c: "cordoned" });
    assert.deepEqual(said(pod({ nodeTaintsPolicy: "Honor" }), { Node: [A, B, cordoned], Pod: both }), {
      a: "yes",
      b: "yes",
      c: "cordoned",
    });
  });
  it("nodes out of its node selector do not count, unless affinity is ignored", () => {
    const elsewhere = nodeAt("c", { labels: { disk: "hdd" } });
    const nodes = [nodeAt("a", { labels: { disk: "ssd" } }), elsewhere];
    const spec = { nodeSelector: { disk: "ssd" } };
    assert.equal(said(pod({}, spec), { Node: nodes, Pod: one }).a, "yes");
    assert.equal(said(pod({ nodeAffinityPolicy: "Ignore" }, spec), { Node: nodes, Pod: one }).a, full);
  });
  it("fewer domains than minDomains: the least is zero", () => {
    assert.deepEqual(said(pod({ minDomains: 2 }), { Node: [A], Pod: one }), { a: full });
    assert.deepEqual(said(pod({ minDomains: 1 }), { Node: [A], Pod: one }), { a: "yes" });
  });
  it("a pod that does not match its own selector does not add itself", () => {
    assert.deepEqual(said(pod({}, {}, { app: "other" }), { Node: [A, B], Pod: one }), { a: "yes", b: "yes" });
  });
  it("matchLabelKeys: only pods of its own revision", () => {
    const mine = labelled(
      "p",
      { app: "web", hash: "2" },
      { topologySpreadConstraints: [spread({ matchLabelKeys: ["hash"] })] },
    );
    assert.deepEqual(said(mine, { Node: [A, B], Pod: [on("a", labelled("x", { app: "web", hash: "1" }))] }), {
      a: "yes",
      b: "yes",
    });
  });
  it("terminating pods and other namespaces do not count", () => {
    const others = [
      on("a", podWith("x", {}, { deletionTimestamp: "2026-11-20T12:00:00Z" })),
      on("a", labelled("y", { app: "web" }, {}, "other")),
    ];
    assert.deepEqual(said(pod(), { Node: [A, B], Pod: others }), { a: "yes", b: "yes" });
  });
  it("a node without the label is out, and counts for no constraint", () => {
    const bare = nodeAt("c");
    delete bare.metadata.labels?.[HOST];
    assert.equal(said(pod(), { Node: [A, bare], Pod: one }).c, `without the label ${HOST}`);
    assert.equal(said(pod(), { Node: [A, bare], Pod: one }).a, "yes");
  });
  it("an empty selector counts no pods, a missing one neither", () => {
    const many = [...one, on("a", podWith("y"))];
    assert.equal(said(pod({ labelSelector: {} }), { Node: [A, B], Pod: many }).a, "yes");
    const { labelSelector: _, ...none } = spread();
    assert.equal(
      said(podWith("p", { topologySpreadConstraints: [none] }), { Node: [A, B], Pod: many }).a,
      "yes",
    );
  });
  it("ScheduleAnyway never stops", () => {
    assert.equal(said(pod({ whenUnsatisfiable: "ScheduleAnyway" }), { Node: [A, B], Pod: one }).a, "yes");
  });
});
