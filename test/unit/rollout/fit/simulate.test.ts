import assert from "node:assert/strict";
import fc from "fast-check";
import { greenNodes } from "../../../../rollout/fit/green-nodes.ts";
import { allocatableOfType } from "../../../../rollout/fit/instance-allocatable.ts";
import { type FitQuestion, simulate } from "../../../../rollout/fit/simulate.ts";
import { LABEL_GENERATION, LABEL_POOL } from "../../../../rollout/names.ts";
import type { Pod } from "../../../../rollout/cluster/types.ts";
import { podName } from "../../../../rollout/pods.ts";
import { blueNode, daemons, hostSpread, otherNode, podOf, READY, sceneWith, ZONES } from "./pool.ts";
import { type Lists, nodeAt, on, podWith } from "./world.ts";

const question = (...args: Parameters<typeof sceneWith>): FitQuestion => sceneWith(...args) as FitQuestion;
const greenOf = (lists: Lists, change: Parameters<typeof sceneWith>[1] = {}) =>
  greenNodes(question(lists, change), { shape: "smallest", atMost: false });
const stranded = (lists: Lists, change: Parameters<typeof sceneWith>[1] = {}): string[] =>
  simulate(question(lists, change)).stranded.map(({ move }) => podName(move.old.pod));

describe("green before it is there", () => {
  it("has as many nodes in each zone as blue, within the config's bounds", () => {
    const blue = [blueNode("a1"), blueNode("a2"), blueNode("b1", "us-east-1b")];
    const zones = (change: object) =>
      greenOf({ Node: blue }, change).nodes.map(
        ({ node }) => node.metadata.labels?.["topology.kubernetes.io/zone"],
      );
    assert.deepEqual(zones({}), ["us-east-1a", "us-east-1a", "us-east-1b"]);
    assert.deepEqual(zones({ green: { zones: [{ zone: "us-east-1c", subnet: "s", min: 2, max: 3 }] } }), [
      "us-east-1c",
      "us-east-1c",
    ]);
    assert.deepEqual(
      zones({ green: { zones: [{ zone: "us-east-1a", subnet: "s", min: 0, max: 9, desired: 1 }] } }),
      ["us-east-1a"],
    );
  });

  it("is modelled on the smallest blue node, with the labels, taints and limit of pods of the config", () => {
    const labels = {
      role: "old",
      "example.com/agent": "x",
      "eks.amazonaws.com/nodegroup": "blue",
      "topology.ebs.csi.aws.com/zone": "us-east-1a",
    };
    const blue = [
      blueNode("a1", "us-east-1a", { labels }),
      blueNode("a2", "us-east-1a", { labels, allocatable: { memory: "4Gi" } }),
    ];
    const taints = [{ key: "dedicated", value: "x", effect: "NoSchedule" as const }];
    const green = {
      labels: { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "bbbbbbbb", role: "new" },
      taints,
      maxPods: 7,
    };
    const [first] = greenOf(
      {
        Node: blue,
        CSINode: [
          {
            metadata: { name: "a2", uid: "u" },
            spec: { drivers: [{ name: "d", allocatable: { count: 3 } }] },
          },
        ],
      },
      { green },
    ).nodes;
    assert.deepEqual(first?.node.metadata.labels, {
      "kubernetes.io/hostname": "green-us-east-1a-1",
      "topology.kubernetes.io/zone": "us-east-1a",
      "topology.ebs.csi.aws.com/zone": "us-east-1a",
      "node.kubernetes.io/instance-type": "m7i.xlarge",
      "example.com/agent": "x",
      "eks.amazonaws.com/nodegroup": "workers-us-east-1a",
      "eks.amazonaws.com/capacityType": "ON_DEMAND",
      ...green.labels,
    });
    assert.deepEqual(first?.node.spec?.taints, taints);
    assert.deepEqual(first?.node.status?.allocatable, { cpu: "4", memory: "4Gi", pods: "7" });
    assert.equal(first?.csi?.spec?.drivers?.[0]?.allocatable?.count, 3);
  });

  it("of another instance type offers what the type does less a reserve, and no devices", () => {
    const type = { vcpus: 2, memoryMiB: 8192, architectures: ["arm64"], zones: ZONES, maxPods: 29 };
    const blue = [
      blueNode("a1", "us-east-1a", {
        allocatable: { "nvidia.com/gpu": "1" },
        labels: { "kubernetes.io/arch": "amd64" },
      }),
    ];
    const { nodes, notes } = greenOf(
      { Node: blue },
      { green: { instanceTypes: ["m7g.large"] }, types: { "m7g.large": type } },
    );
    assert.deepEqual(nodes[0]?.node.status?.allocatable, { cpu: "1930m", memory: "6903Mi", pods: "29" });
    assert.equal(nodes[0]?.node.metadata.labels?.["kubernetes.io/arch"], "arm64");
    assert.match(notes.join(), /reckoned by instance type \(m7g.large\) less a reserve/);
    assert.match(
      greenOf({ Node: blue }, { green: { instanceTypes: ["m7g.large"] } }).notes.join(),
      /was not asked of the cloud/,
    );
  });

  it("reserves as EKS does", () => {
    assert.deepEqual(
      allocatableOfType({ vcpus: 96, memoryMiB: 393_216, architectures: [], zones: [], maxPods: 737 }),
      { cpu: "95690m", memory: "355262Mi", pods: "737" },
    );
  });

  it("runs the DaemonSets that will run there, and the static pods of blue", () => {
    const proxy: Pod = {
      ...on("a1", podWith("kube-proxy-a1")),
      metadata: {
        name: "kube-proxy-a1",
        namespace: "kube-system",
        uid: "m",
        annotations: { "kubernetes.io/config.mirror": "x" },
      },
    };
    const sets = [
      daemons("cni", { tolerations: [{ operator: "Exists" }] }),
      daemons("gpu", { nodeSelector: { gpu: "yes" } }),
    ];
    const green = greenOf({ Node: [blueNode("a1")], Pod: [proxy], DaemonSet: sets });
    assert.deepEqual(
      green.nodes[0]?.pods.map(({ metadata }) => metadata.name),
      ["cni", "kube-proxy-a1"],
    );
  });

  it("counts nodes that are there as they are, open, and adds those that are missing", () => {
    const labels = { [LABEL_POOL]: "workers", [LABEL_GENERATION]: "bbbbbbbb" };
    const real = nodeAt("g1", {
      labels,
      spec: {
        taints: [
          { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" },
          { key: "x", effect: "NoSchedule" },
        ],
      },
    });
    const { nodes } = greenOf({ Node: [blueNode("a1"), blueNode("a2"), real] });
    assert.deepEqual(
      nodes.map(({ node }) => node.metadata.name),
      ["g1", "green-us-east-1a-2"],
    );
    assert.deepEqual(nodes[0]?.node.spec?.taints, [{ key: "x", effect: "NoSchedule" }]);
  });
});

describe("emptying blue onto green", () => {
  const blue = [blueNode("a1"), blueNode("b1", "us-east-1b"), blueNode("c1", "us-east-1c")];
  const half = { requests: { cpu: "2" } };

  it("full nodes move to nodes like them", () => {
    const Pod = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, half)),
    );
    assert.deepEqual(stranded({ Node: blue, Pod }), []);
  });

  it("a node less, and what no longer fits", () => {
    const Pod = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, half)),
    );
    const zones = ZONES.slice(0, 2).map((zone) => ({ zone, subnet: "s", min: 0, max: 5 }));
    assert.equal(stranded({ Node: blue, Pod }, { green: { zones } }).length, 2);
  });

  it("other open nodes of the cluster take what green has no room for", () => {
    const Pod = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, half)),
    );
    const zones = ZONES.slice(0, 2).map((zone) => ({ zone, subnet: "s", min: 0, max: 5 }));
    const lists = (spec: object): Lists => ({ Node: [...blue, otherNode("other", { spec })], Pod });
    assert.deepEqual(stranded(lists({}), { green: { zones } }), []);
    assert.equal(stranded(lists({ unschedulable: true }), { green: { zones } }).length, 2);
  });

  it("DaemonSet pods take their part of green", () => {
    const Pod = [podOf("web", 0, "a1", { requests: { cpu: "4" } })];
    const sets = [daemons("agent", { requests: { cpu: "100m" }, tolerations: [{ operator: "Exists" }] })];
    assert.deepEqual(stranded({ Node: [blue[0]!], Pod }), []);
    assert.deepEqual(stranded({ Node: [blue[0]!], Pod, DaemonSet: sets }), ["shop/web-1-0"]);
  });

  it("a pod that has to be near another waits for it", () => {
    const near = {
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "cache" } } },
          ],
        },
      },
      requests: { cpu: "2" },
    };
    assert.deepEqual(
      stranded({ Node: blue, Pod: [podOf("web", 0, "a1", near), podOf("cache", 0, "a1")] }),
      [],
    );
    assert.deepEqual(stranded({ Node: blue, Pod: [podOf("web", 0, "a1", near)] }), ["shop/web-1-0"]);
  });

  it("what is left out, finished, ending, unowned, static or of negative priority does not move", () => {
    const big = { requests: { cpu: "4" } };
    const bare = { ...podOf("bare", 1, "a1", big) };
    delete bare.metadata.ownerReferences;
    const ending = podOf("ending", 1, "a1", big);
    ending.metadata.deletionTimestamp = "2026-11-20T12:00:00Z";
    const Pod = [
      podOf("web", 0, "a1", big),
      bare,
      ending,
      { ...podOf("done", 1, "a1", big), status: { phase: "Succeeded" } },
      podOf("critical", 1, "a1", big),
      podOf("pause", 1, "a1", { ...big, priority: -10 }),
    ];
    assert.deepEqual(
      stranded(
        { Node: [blue[0]!], Pod },
        { config: { drain: { podSelector: "app!=critical", excludedPods: "hold" } } },
      ),
      [],
    );
  });

  it("pods of negative priority give way on other nodes", () => {
    const Pod = [
      podOf("web", 0, "a1", { requests: { cpu: "3" } }),
      podOf("pause", 1, "other", { requests: { cpu: "3" }, priority: -1 }),
    ];
    const zones = [{ zone: "us-east-1b", subnet: "s", min: 0, max: 0 }];
    assert.deepEqual(stranded({ Node: [blue[0]!, otherNode("other")], Pod }, { green: { zones } }), []);
  });

  it("a mix of node sizes is tried before pods are said not to fit", () => {
    const sizes = [
      blueNode("a1", "us-east-1a", { allocatable: { memory: "8Gi" } }),
      blueNode("a2", "us-east-1a", { allocatable: { memory: "4Gi" } }),
    ];
    const fit = simulate(
      question({ Node: sizes, Pod: [podOf("big", 0, "a1", { requests: { memory: "7Gi" } })] }),
    );
    assert.deepEqual([fit.stranded.length, fit.only], [0, "mixed"]);
  });

  it("volumes made with the pod are made anew on green", () => {
    const spec = {
      volumes: [
        { name: "scratch", ephemeral: { volumeClaimTemplate: { spec: { storageClassName: "gp3" } } } },
      ],
    };
    const inZone = {
      required: {
        nodeSelectorTerms: [
          {
            matchExpressions: [
              { key: "topology.kubernetes.io/zone", operator: "In", values: ["us-east-1a"] },
            ],
          },
        ],
      },
    };
    const lists = (volumeBindingMode: string): Lists => ({
      Node: blue,
      Pod: [podOf("web", 0, "a1", spec)],
      StorageClass: [
        { metadata: { name: "gp3", uid: "sc" }, provisioner: "ebs.csi.aws.com", volumeBindingMode },
      ],
      PersistentVolumeClaim: [
        {
          metadata: { name: "web-1-0-scratch", namespace: "shop", uid: "c" },
          spec: { volumeName: "v" },
          status: { phase: "Bound" },
        },
      ],
      PersistentVolume: [{ metadata: { name: "v", uid: "v" }, spec: { nodeAffinity: inZone } }],
    });
    const zones = [{ zone: "us-east-1b", subnet: "s", min: 1, max: 1 }];
    assert.deepEqual(stranded(lists("WaitForFirstConsumer"), { green: { zones } }), []);
    const { unknown } = simulate(question(lists("Immediate"), { green: { zones } }));
    assert.match(unknown[0]?.why.join() ?? "", /volume scratch is made anew before it is scheduled/);
  });

  it("leaves the deadlock of a hard spread over nodes to be seen, and only where it comes", () => {
    const two = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, hostSpread("web"))),
    );
    const found = simulate(question({ Node: blue, Pod: two })).stranded;
    assert.ok(found.length > 0 && found.every(({ deadlock }) => deadlock));
    const one = blue.map(({ metadata: { name } }, i) => podOf("web", i, name, hostSpread("web")));
    assert.deepEqual(stranded({ Node: blue, Pod: one }), []);
    const honored = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, hostSpread("web", { nodeTaintsPolicy: "Honor" }))),
    );
    assert.deepEqual(stranded({ Node: blue, Pod: honored }), []);
  });

  it("pods that stand on nodes like green's always fit, whatever their sizes", () => {
    const sizes = fc.array(
      fc.array(
        fc.record({ cpu: fc.integer({ min: 1, max: 2000 }), memory: fc.integer({ min: 1, max: 4096 }) }),
        { maxLength: 6 },
      ),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(sizes, (nodes) => {
        const Pod: Pod[] = [];
        const Node = nodes.map((_, i) => blueNode(`n${i}`, ZONES[i % 3]));
        nodes.forEach((pods, i) => {
          let [cpu, memory] = [4000, 8192];
          pods.forEach((it, j) => {
            if (it.cpu > cpu || it.memory > memory) return;
            cpu -= it.cpu;
            memory -= it.memory;
            Pod.push(
              podOf(`p${i}`, j, `n${i}`, { requests: { cpu: `${it.cpu}m`, memory: `${it.memory}Mi` } }),
            );
          });
        });
        assert.deepEqual(stranded({ Node, Pod }), []);
      }),
    );
  });

  it("leaves the picture as it was", () => {
    const lists = {
      Node: [...blue, { ...otherNode("x"), status: { ...READY } }],
      Pod: [podOf("web", 0, "a1", half)],
    };
    const before = JSON.stringify(lists);
    simulate(question(lists));
    assert.equal(JSON.stringify(lists), before);
  });
});
