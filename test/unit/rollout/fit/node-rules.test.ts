import assert from "node:assert/strict";
import type {
  Node,
  NodeSelectorTerm,
  PodSpec,
  Taint,
  Toleration,
} from "../../../../rollout/cluster/types.ts";
import { matchesTerms, untolerated } from "../../../../rollout/fit/node-rules.ts";
import { nodeAt, podWith, said } from "./world.ts";

describe("taints and tolerations", () => {
  const gpu: Taint = { key: "gpu", value: "a100", effect: "NoSchedule" };
  const table: [toleration: Toleration, taint: Taint, tolerated: boolean][] = [
    [{ key: "gpu", operator: "Equal", value: "a100", effect: "NoSchedule" }, gpu, true],
    [{ key: "gpu", value: "a100" }, gpu, true],
    [{ key: "gpu", value: "t4" }, gpu, false],
    [{ key: "gpu", operator: "Exists" }, gpu, true],
    [{ key: "gpu", operator: "Exists", effect: "NoExecute" }, gpu, false],
    [{ operator: "Exists" }, gpu, true],
    [{ operator: "Exists", effect: "NoSchedule" }, gpu, true],
    [{ operator: "Exists", effect: "NoExecute" }, gpu, false],
    [{ key: "other", operator: "Exists" }, gpu, false],
    [{ key: "gpu" }, { key: "gpu", effect: "NoExecute" }, true],
    [{ key: "gpu", operator: "Lt", value: "5" }, gpu, false],
    [{ key: "x", operator: "Exists" }, { key: "gpu", effect: "PreferNoSchedule" }, true],
  ];
  for (const [toleration, taint, tolerated] of table) {
    it(`${JSON.stringify(toleration)} ${tolerated ? "tolerates" : "does not tolerate"} ${taint.key}:${taint.effect}`, () => {
      assert.equal(untolerated([taint], [toleration]) === undefined, tolerated);
    });
  }
});

describe("required node affinity", () => {
  const node: Node = nodeAt("n1", { labels: { cores: "16", disk: "ssd", name: "x16" } });
  const expression = (key: string, operator: string, ...values: string[]): NodeSelectorTerm => ({
    matchExpressions: [{ key, operator, ...(values.length === 0 ? {} : { values }) }],
  });
  const table: [terms: NodeSelectorTerm[], matches: boolean][] = [
    [[expression("disk", "In", "hdd", "ssd")], true],
    [[expression("disk", "NotIn", "ssd")], false],
    [[expression("absent", "NotIn", "ssd")], true],
    [[expression("disk", "Exists")], true],
    [[expression("absent", "DoesNotExist")], true],
    [[expression("cores", "Gt", "15")], true],
    [[expression("cores", "Gt", "16")], false],
    [[expression("cores", "Lt", "17")], true],
    [[expression("cores", "Gt", "x")], false],
    [[expression("name", "Gt", "1")], false],
    [[expression("absent", "Lt", "1")], false],
    [[expression("cores", "Gt", "-9223372036854775808")], true],
    [[expression("cores", "Lt", "9223372036854775808")], false],
    [[{}], false],
    [[], false],
    [[expression("disk", "In", "hdd"), expression("cores", "Exists")], true],
    [[{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n1"] }] }], true],
    [[{ matchFields: [{ key: "metadata.name", operator: "NotIn", values: ["n1"] }] }], false],
    [
      [
        {
          ...expression("disk", "Exists"),
          matchFields: [{ key: "metadata.name", operator: "In", values: ["n2"] }],
        },
      ],
      false,
    ],
  ];
  for (const [terms, expected] of table) {
    it(`${JSON.stringify(terms)} ${expected ? "matches" : "does not match"}`, () => {
      assert.equal(matchesTerms(terms, node), expected);
    });
  }
});

describe("rules between a pod and a node", () => {
  const table: [what: string, spec: PodSpec, node: Node, expected: string][] = [
    ["a cordoned node", {}, nodeAt("n", { spec: { unschedulable: true } }), "cordoned"],
    [
      "a cordon is tolerated as a taint",
      { tolerations: [{ key: "node.kubernetes.io/unschedulable", operator: "Exists" }] },
      nodeAt("n", { spec: { unschedulable: true } }),
      "yes",
    ],
    [
      "a taint",
      {},
      nodeAt("n", { spec: { taints: [{ key: "gpu", value: "t4", effect: "NoSchedule" }] } }),
      "untolerated taint gpu=t4:NoSchedule",
    ],
    [
      "a soft taint",
      {},
      nodeAt("n", { spec: { taints: [{ key: "gpu", effect: "PreferNoSchedule" }] } }),
      "yes",
    ],
    ["a node selector", { nodeSelector: { disk: "ssd" } }, nodeAt("n"), "without the label disk=ssd"],
    ["another node's name", { nodeName: "m" }, nodeAt("n"), "not the node m that the pod names"],
    [
      "node affinity",
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: "disk", operator: "Exists" }] }],
            },
          },
        },
      },
      nodeAt("n"),
      "not matching its node affinity (disk Exists)",
    ],
    [
      "a gate",
      { schedulingGates: [{ name: "example.com/wait" }] },
      nodeAt("n"),
      "held by scheduling gate example.com/wait",
    ],
  ];
  for (const [what, spec, node, expected] of table) {
    it(what, () => {
      assert.deepEqual(said(podWith("p", spec), { Node: [node] }), { n: expected });
    });
  }
});
