import assert from "node:assert/strict";
import { nameOf } from "../../../../rollout/finding.ts";
import { fit } from "../../../../rollout/preflight/fit.ts";
import { blueNode, hostSpread, otherNode, podOf, sceneWith } from "../fit/pool.ts";
import type { Lists } from "../fit/world.ts";

const said = (...args: Parameters<typeof sceneWith>): string[] =>
  fit(sceneWith(...args)).map(
    ({ severity, rule, object, why, fix }) =>
      `${severity} ${rule} ${nameOf(object)}: ${why}. To go on: ${fix}`,
  );

describe("pre-flight: will it fit", () => {
  const blue = [blueNode("a1"), blueNode("b1", "us-east-1b")];
  const big = { requests: { memory: "6Gi" } };
  const two: Lists = { Node: blue, Pod: [podOf("web", 0, "a1", big), podOf("web", 1, "b1", big)] };
  const one = { zones: [{ zone: "us-east-1a", subnet: "s", min: 1, max: 1 }] };

  it("says nothing when all pods find a node", () => {
    assert.deepEqual(said(two), []);
  });

  it("counts what stops the pod over the nodes, with what it needs and the largest gap", () => {
    assert.deepEqual(said(two, { green: one }), [
      "block does-not-fit Deployment shop/web: pod shop/web-1-1 would find no node once blue is closed: 0 of 1 green node take it (1 insufficient memory (it needs 6Gi, the largest gap is 2Gi)). " +
        "To go on: raise size.desired (or size.min) in patchguard:pools[] of pool workers, choose a larger type in its instanceTypes, or lower the requests of Deployment shop/web",
    ]);
  });

  it("names the others that do not take it, either", () => {
    const tainted = otherNode("x", { spec: { taints: [{ key: "gpu", effect: "NoSchedule" }] } });
    const [text = ""] = said({ ...two, Node: [...blue, tainted] }, { green: one });
    assert.match(
      text,
      /the largest gap is 2Gi\)\), nor does the 1 other \(1 untolerated taint gpu:NoSchedule\)\. /,
    );
  });

  it("one finding for a workload, with how many pods", () => {
    const Pod = [0, 1, 2].map((i) => podOf("web", i, "a1", { nodeSelector: { disk: "ssd" } }));
    assert.deepEqual(said({ Node: [blueNode("a1", "us-east-1a", { labels: { disk: "ssd" } })], Pod }), [
      "block does-not-fit Deployment shop/web: pod shop/web-1-0 and 2 more of its pods would find no node once blue is closed: 0 of 1 green node take it (1 without the label disk=ssd). " +
        "To go on: add the label to labels in patchguard:pools[] of pool workers, or take it out of the nodeSelector or node affinity of Deployment shop/web",
    ]);
  });

  it("a taint that green has more", () => {
    const [text = ""] = said(
      { Node: blue, Pod: [podOf("web", 0, "a1")] },
      { green: { taints: [{ key: "a", value: "b", effect: "NoSchedule" }] } },
    );
    assert.match(
      text,
      /2 untolerated taint a=b:NoSchedule\)\. To go on: give Deployment shop\/web a toleration for the taint, or take the taint out of taints in patchguard:pools\[\] of pool workers$/,
    );
  });

  it("no green node at all", () => {
    const [text = ""] = said(two, { green: { zones: [] } });
    assert.match(text, /there will be no green node\. To go on: give green at least one node/);
  });

  it("the deadlock of a hard spread, with the patch that ends it", () => {
    const Pod = blue.flatMap(({ metadata: { name } }, i) =>
      [0, 1].map((j) => podOf("web", i * 2 + j, name, hostSpread("web"))),
    );
    assert.deepEqual(said({ Node: blue, Pod }), [
      "block spread-deadlock Deployment shop/web: the drain would wait forever for pod shop/web-1-2 and 1 more of its pods: its hard topology spread over kubernetes.io/hostname counts the closed blue nodes as empty domains (nodeTaintsPolicy is not Honor), so 0 of 2 green nodes take it (2 full by its topology spread over kubernetes.io/hostname (maxSkew 1)). " +
        `To go on: set nodeTaintsPolicy: Honor in its topologySpreadConstraints: \`kubectl -n shop patch deployment web --type json -p '[{"op":"add","path":"/spec/template/spec/topologySpreadConstraints/0/nodeTaintsPolicy","value":"Honor"}]'\``,
    ]);
  });

  it("an autoscaler that may add nodes makes a warning of it", () => {
    const autoscaler = {
      metadata: { name: "ca", namespace: "kube-system", uid: "ca" },
      spec: {
        template: {
          spec: {
            containers: [{ name: "ca", image: "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.0" }],
          },
        },
      },
    };
    const green = (max: number) => ({
      zones: [{ zone: "us-east-1a", subnet: "s", min: 1, max, desired: 1 }],
    });
    const lists = { ...two, Deployment: [autoscaler] };
    assert.match(
      said(lists, { green: green(3) }).join("\n"),
      /^warning fit-not-judged Pool workers: 1 pod \(shop\/web-1-1\) will wait until the cluster autoscaler has added green nodes: .*\. To go on: begin with more nodes: raise size\.desired[^\n]*$/,
    );
    assert.match(said(lists, { green: green(1) }).join("\n"), /^block does-not-fit/);
  });

  it("what is not judged, in one warning", () => {
    const Pod = [
      podOf("web", 0, "a1", { schedulerName: "volcano" }),
      podOf("gpu", 0, "a1", { resourceClaims: [{ name: "g" }] }),
    ];
    assert.deepEqual(said({ Node: blue, Pod }), [
      "warning fit-not-judged Pool workers: not all that decides about these is simulated: Deployment shop/gpu (it claims devices (resourceClaims g)), Deployment shop/web (scheduler volcano decides where it goes). " +
        "To go on: see for yourself that these pods will find a node on green",
    ]);
    assert.match(
      said(two, { green: null }).join(),
      /^warning fit-not-judged Pool workers: what green is made of is not known here/,
    );
  });

  it("a volume that green cannot reach is the volume rules' to say", () => {
    const nodeAffinity = {
      required: {
        nodeSelectorTerms: [
          {
            matchExpressions: [
              { key: "topology.kubernetes.io/zone", operator: "In", values: ["us-east-1b"] },
            ],
          },
        ],
      },
    };
    const lists = (driver: string): Lists => ({
      Node: blue,
      Pod: [podOf("db", 0, "b1", { volumes: [{ name: "d", persistentVolumeClaim: { claimName: "data" } }] })],
      PersistentVolumeClaim: [
        {
          metadata: { name: "data", namespace: "shop", uid: "c" },
          spec: { volumeName: "v" },
          status: { phase: "Bound" },
        },
      ],
      PersistentVolume: [
        { metadata: { name: "v", uid: "v" }, spec: { csi: { driver, volumeHandle: "h" }, nodeAffinity } },
      ],
    });
    assert.deepEqual(said(lists("ebs.csi.aws.com"), { green: one }), []);
  });
});
