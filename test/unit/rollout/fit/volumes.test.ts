import assert from "node:assert/strict";
import type {
  CSIDriver,
  CSINode,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from "../../../../rollout/cluster/types.ts";
import { type Lists, nodeAt, on, placementOf, podWith, said, textOf } from "./world.ts";
import { fits } from "../../../../rollout/fit/fits.ts";

const EBS = "ebs.csi.aws.com";
const A = nodeAt("a", { zone: "us-east-1a", labels: { "topology.ebs.csi.aws.com/zone": "us-east-1a" } });
const B = nodeAt("b", { zone: "us-east-1b", labels: { "topology.ebs.csi.aws.com/zone": "us-east-1b" } });

const claim = (
  name: string,
  spec: PersistentVolumeClaim["spec"],
  phase = "Bound",
): PersistentVolumeClaim => ({
  metadata: { name, namespace: "shop", uid: `uid-${name}` },
  spec: { storageClassName: "gp3", accessModes: ["ReadWriteOnce"], ...spec },
  status: { phase },
});
const volume = (
  name: string,
  spec: PersistentVolume["spec"],
  labels = {},
  phase = "Bound",
): PersistentVolume => ({
  metadata: { name, uid: `uid-${name}`, labels },
  spec: { csi: { driver: EBS, volumeHandle: `vol-${name}` }, ...spec },
  status: { phase },
});
const inZone = (zone: string, key = "topology.ebs.csi.aws.com/zone"): PersistentVolume["spec"] => ({
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "In", values: [zone] }] }] },
  },
});
const gp3 = (change: Partial<StorageClass> = {}): StorageClass => ({
  metadata: { name: "gp3", uid: "uid-gp3" },
  provisioner: EBS,
  volumeBindingMode: "WaitForFirstConsumer",
  ...change,
});
const pod = (...claims: string[]): Pod =>
  podWith("p", {
    volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
  });
const csiNode = (name: string, count: number, annotations = {}): CSINode => ({
  metadata: { name, uid: `uid-csi-${name}`, annotations },
  spec: { drivers: [{ name: EBS, allocatable: { count } }] },
});
const bound = (spec: PersistentVolume["spec"], labels = {}): Lists => ({
  Node: [A, B],
  PersistentVolumeClaim: [claim("data", { volumeName: "v1" })],
  PersistentVolume: [volume("v1", spec, labels)],
});
const OUT = "out of reach of the volume of claim data (v1 in us-east-1a)";

describe("volumes of a pod", () => {
  const table: [what: string, lists: Lists, expected: Record<string, string>][] = [
    ["a volume in a zone", bound(inZone("us-east-1a")), { a: "yes", b: OUT }],
    ["a volume for everywhere", bound({}), { a: "yes", b: "yes" }],
    [
      "a zone label on the volume",
      bound({}, { "topology.kubernetes.io/zone": "us-east-1a" }),
      { a: "yes", b: OUT },
    ],
    [
      "a zone label of old, on nodes with the new one",
      bound({}, { "failure-domain.beta.kubernetes.io/zone": "us-east-1a" }),
      { a: "yes", b: OUT },
    ],
    [
      "a label with several zones",
      bound({}, { "topology.kubernetes.io/zone": "us-east-1a__us-east-1b" }),
      { a: "yes", b: "yes" },
    ],
    ["no such claim", { Node: [A] }, { a: "claim data does not exist" }],
    [
      "no such volume",
      { ...bound({}), PersistentVolume: [] },
      {
        a: "claim data is bound to v1, which does not exist",
        b: "claim data is bound to v1, which does not exist",
      },
    ],
    [
      "a lost claim",
      { Node: [A], PersistentVolumeClaim: [claim("data", { volumeName: "v1" }, "Lost")] },
      { a: "claim data has lost its volume" },
    ],
    [
      "a claim that waits for its pod",
      { Node: [A], PersistentVolumeClaim: [claim("data", {}, "Pending")], StorageClass: [gp3()] },
      { a: "yes" },
    ],
    [
      "a claim that does not wait and is not bound",
      {
        Node: [A],
        PersistentVolumeClaim: [claim("data", {}, "Pending")],
        StorageClass: [gp3({ volumeBindingMode: "Immediate" })],
      },
      { a: "claim data is not bound yet" },
    ],
    [
      "a claim without a class that exists",
      { Node: [A], PersistentVolumeClaim: [claim("data", {}, "Pending")] },
      { a: "claim data is not bound, and its storage class gp3 does not exist" },
    ],
    [
      "allowed topologies",
      {
        Node: [A, B],
        PersistentVolumeClaim: [claim("data", {}, "Pending")],
        StorageClass: [
          gp3({
            allowedTopologies: [
              { matchLabelExpressions: [{ key: "topology.kubernetes.io/zone", values: ["us-east-1b"] }] },
            ],
          }),
        ],
      },
      { a: "where class gp3 of claim data makes no volumes", b: "yes" },
    ],
    [
      "a volume that stands ready on one node",
      {
        Node: [A, B],
        PersistentVolumeClaim: [claim("data", { resources: { requests: { storage: "5Gi" } } }, "Pending")],
        PersistentVolume: [
          volume(
            "small",
            { storageClassName: "gp3", accessModes: ["ReadWriteOnce"], capacity: { storage: "1Gi" } },
            {},
            "Available",
          ),
          volume(
            "v1",
            {
              storageClassName: "gp3",
              accessModes: ["ReadWriteOnce"],
              capacity: { storage: "10Gi" },
              ...inZone("us-east-1b"),
            },
            {},
            "Available",
          ),
        ],
        StorageClass: [gp3({ provisioner: "kubernetes.io/no-provisioner" })],
      },
      { a: "without a free volume of class gp3 for claim data", b: "yes" },
    ],
    [
      "a volume that is being made for a node",
      {
        Node: [A, B],
        PersistentVolumeClaim: [
          {
            ...claim("data", {}, "Pending"),
            metadata: {
              name: "data",
              namespace: "shop",
              uid: "c",
              annotations: { "volume.kubernetes.io/selected-node": "b" },
            },
          },
        ],
        StorageClass: [gp3()],
      },
      { a: "not b, where the volume of claim data is being made", b: "yes" },
    ],
    [
      "an in-tree volume that the CSI driver serves",
      {
        ...bound({}),
        PersistentVolume: [
          {
            metadata: { name: "v1", uid: "v1" },
            spec: {
              awsElasticBlockStore: { volumeID: "vol-1" },
              ...inZone("us-east-1a", "topology.kubernetes.io/zone"),
            },
          },
        ],
      },
      { a: "yes", b: OUT },
    ],
  ];
  for (const [what, lists, expected] of table) {
    it(what, () => {
      assert.deepEqual(said(pod("data"), lists), expected);
    });
  }

  it("a claim for one pod at a time", () => {
    const lists = {
      ...bound({}),
      PersistentVolumeClaim: [claim("data", { volumeName: "v1", accessModes: ["ReadWriteOncePod"] })],
    };
    assert.equal(said(pod("data"), lists).a, "yes");
    const used = {
      ...lists,
      Pod: [on("b", { ...pod("data"), metadata: { name: "x", namespace: "shop", uid: "x" } })],
    };
    assert.equal(said(pod("data"), used).a, "claim shop/data is ReadWriteOncePod and another pod uses it");
  });

  it("a disk named in the pod itself: one pod of a node, and where it is nobody knows", () => {
    const disk = (name: string): Pod =>
      podWith(name, { volumes: [{ name: "d", awsElasticBlockStore: { volumeID: "vol-1" } }] });
    const lists = { Node: [A, B], Pod: [on("a", disk("x"))] };
    assert.deepEqual(said(disk("p"), lists), {
      a: "with another pod that uses the disk of volume d",
      b: "unknown: volume d names a disk without a claim; where the disk is cannot be read",
    });
  });

  it("a driver that counts its capacity is not judged", () => {
    const driver: CSIDriver = { metadata: { name: EBS, uid: "d" }, spec: { storageCapacity: true } };
    const lists: Lists = {
      Node: [A],
      PersistentVolumeClaim: [claim("data", {}, "Pending")],
      StorageClass: [gp3()],
      CSIDriver: [driver],
    };
    assert.deepEqual(said(pod("data"), lists), {
      a: `unknown: claim data needs a new volume, and what ${EBS} has left where is not read`,
    });
  });
});

describe("attach limits", () => {
  const full = `at the limit of 2 volumes of ${EBS}`;
  const many = (count: number): Lists => ({
    Node: [A],
    CSINode: [csiNode("a", 2)],
    StorageClass: [gp3()],
    PersistentVolumeClaim: [1, 2, 3, 4]
      .map((i) => claim(`c${i}`, { volumeName: `v${i}` }))
      .concat(claim("new", {}, "Pending")),
    PersistentVolume: [1, 2, 3, 4].map((i) => volume(`v${i}`, {})),
    Pod: Array.from({ length: count }, (_, i) =>
      on("a", { ...pod(`c${i + 1}`), metadata: { name: `x${i}`, namespace: "shop", uid: `x${i}` } }),
    ),
  });
  const table: [what: string, pod: Pod, lists: Lists, expected: string][] = [
    ["the last place", pod("c3"), many(1), "yes"],
    ["no place", pod("c3"), many(2), full],
    ["two at once", pod("c3", "c4"), many(1), full],
    ["a volume that is there already", pod("c1"), many(2), "yes"],
    ["a volume that is still to be made", pod("new"), many(2), full],
    ["the same claim twice", pod("c3", "c3"), many(1), "yes"],
    ["no limit said", pod("c3"), { ...many(2), CSINode: [] }, "yes"],
    [
      "an attachment without a pod counts, one with a pod does not count twice",
      pod("c3"),
      {
        ...many(1),
        VolumeAttachment: ["v1", "v4"].map((name) => ({
          metadata: { name: `va-${name}`, uid: name },
          spec: { attacher: EBS, nodeName: "a", source: { persistentVolumeName: name } },
        })),
      },
      full,
    ],
  ];
  for (const [what, candidate, lists, expected] of table) {
    it(what, () => {
      assert.deepEqual(said(candidate, lists), { a: expected });
    });
  }
});

describe("what is not judged", () => {
  const lists: Lists = { Node: [A] };
  it("is said instead of a fit", () => {
    assert.deepEqual(said(podWith("p", { schedulerName: "volcano" }), lists), {
      a: "unknown: scheduler volcano decides where it goes",
    });
    assert.deepEqual(said(podWith("p", { resourceClaims: [{ name: "gpu" }] }), lists), {
      a: "unknown: it claims devices (resourceClaims gpu)",
    });
  });
  it("does not hide a rule that stops the pod", () => {
    const pod = podWith("p", { resourceClaims: [{ name: "gpu" }], requests: { cpu: "100" } });
    assert.deepEqual(said(pod, lists), { a: "insufficient cpu" });
  });
  it("kinds that could not be read", () => {
    const term = { topologyKey: "kubernetes.io/hostname", namespaceSelector: { matchLabels: { a: "b" } } };
    const asks = podWith("p", {
      affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
    });
    const placement = placementOf(lists, [{ kind: "Namespace", reason: "forbidden", message: "no" }]);
    assert.equal(
      textOf(fits(asks, A, placement)),
      "unknown: its affinity selects namespaces, and namespaces could not be read",
    );
  });
});
