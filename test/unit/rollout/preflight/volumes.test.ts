import assert from "node:assert/strict";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from "../../../../rollout/cluster/types.ts";
import { volumeKind } from "../../../../rollout/preflight/volume-kind.ts";
import { volumes } from "../../../../rollout/preflight/volumes.ts";
import { GREEN, named, nodeOf, podOf, refTo, says, type Asked, type Lists } from "./scene.ts";

type Spec = NonNullable<PersistentVolume["spec"]>;
const pv = (spec: Spec, labels = {}): PersistentVolume => ({
  metadata: { name: "pv-1", uid: "uid-pv", labels },
  spec,
});
const at = (...terms: [key: string, values: string[]][][]): Spec => ({
  nodeAffinity: {
    required: {
      nodeSelectorTerms: terms.map((term) => ({
        matchExpressions: term.map(([key, values]) => ({ key, operator: "In", values })),
      })),
    },
  },
});
const csi = (driver: string): Spec => ({ csi: { driver } });
const ZONE = "topology.kubernetes.io/zone";

describe("what kind of place a volume is in", () => {
  const cases: [string, PersistentVolume, ReturnType<typeof volumeKind>][] = [
    ["EBS", pv(at([["topology.ebs.csi.aws.com/zone", ["z1"]]])), { kind: "zonal", zones: ["z1"] }],
    [
      "Azure Disk",
      pv(at([["topology.disk.csi.azure.com/zone", ["e-1"]]])),
      { kind: "zonal", zones: ["e-1"] },
    ],
    ["by the common label", pv(at([[ZONE, ["z1"]]])), { kind: "zonal", zones: ["z1"] }],
    [
      "by the label of old",
      pv(at([["failure-domain.beta.kubernetes.io/zone", ["z1"]]])),
      { kind: "zonal", zones: ["z1"] },
    ],
    [
      "replicated over zones, one term each",
      pv(at([[ZONE, ["z2"]]], [[ZONE, ["z1"]]])),
      { kind: "regional", zones: ["z1", "z2"] },
    ],
    ["replicated, in one term", pv(at([[ZONE, ["z1", "z2"]]])), { kind: "regional", zones: ["z1", "z2"] }],
    [
      "Azure Disk in a region without zones",
      pv(at([["topology.disk.csi.azure.com/zone", [""]]])),
      { kind: "labels" },
    ],
    [
      "zone as a label of the volume",
      pv({}, { [ZONE]: "z1__z2" }),
      { kind: "regional", zones: ["z1", "z2"] },
    ],
    ["EFS", pv(csi("efs.csi.aws.com")), { kind: "anywhere" }],
    ["Azure Files", pv(csi("file.csi.azure.com")), { kind: "anywhere" }],
    ["NFS", pv({ nfs: { server: "s", path: "/" } }), { kind: "anywhere" }],
    [
      "local",
      pv({ local: { path: "/d" }, ...at([["kubernetes.io/hostname", ["n1"]]]) }),
      { kind: "local", nodes: ["n1"] },
    ],
    ["hostPath", pv({ hostPath: { path: "/d" } }), { kind: "local", nodes: [] }],
    ["TopoLVM", pv(at([["topology.topolvm.io/node", ["n1"]]])), { kind: "local", nodes: ["n1"] }],
    ["OpenEBS", pv(at([["openebs.io/nodename", ["n1"]]])), { kind: "local", nodes: ["n1"] }],
    [
      "node and zone",
      pv(
        at([
          ["kubernetes.io/hostname", ["n1"]],
          [ZONE, ["z1"]],
        ]),
      ),
      { kind: "local", nodes: ["n1"] },
    ],
    ["other labels", pv(at([["rack", ["r1"]]])), { kind: "labels" }],
    ["EBS made by hand", pv(csi("ebs.csi.aws.com")), { kind: "unknown-zone" }],
    [
      "in-tree EBS without a label",
      pv({ awsElasticBlockStore: { volumeID: "v" } }),
      { kind: "unknown-zone" },
    ],
  ];
  for (const [name, volume, expected] of cases)
    it(name, () => assert.deepEqual(volumeKind(volume), expected));
});

const claim = (change: Partial<PersistentVolumeClaim> = {}): PersistentVolumeClaim => ({
  metadata: named("PersistentVolumeClaim", "data-db-0"),
  spec: { volumeName: "pv-1", storageClassName: "gp3" },
  status: { phase: "Bound" },
  ...change,
});
const USES = { volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data-db-0" } }] };
const db = podOf("db-0", { owner: refTo("StatefulSet", "db"), spec: USES });
const about = (volume: PersistentVolume, lists: Lists = {}, asked: Asked = {}): string[] =>
  says(volumes, { Pod: [db], PersistentVolumeClaim: [claim()], PersistentVolume: [volume], ...lists }, asked);
const inZone = (zone: string): PersistentVolume => pv({ ...csi("ebs.csi.aws.com"), ...at([[ZONE, [zone]]]) });

describe("volumes that cannot follow", () => {
  it("names claim, volume, zone and what green offers", () => {
    assert.deepEqual(about(inZone("us-east-1c")), [
      "block volume-zone: PersistentVolumeClaim shop/data-db-0: its volume pv-1 (ebs.csi.aws.com) is in zone us-east-1c and cannot leave; green offers us-east-1a, and no other node there takes pod shop/db-0. " +
        "To go on: add a subnet of us-east-1c to patchguard:pools[].zones of pool workers, or restore the volume from a snapshot in a zone of green",
    ]);
  });
  it("are no matter where green, or another node that the pod may use, is in the zone", () => {
    assert.deepEqual(about(inZone("us-east-1a")), []);
    const other = nodeOf("other", { pool: null, zone: "us-east-1c" });
    assert.deepEqual(about(inZone("us-east-1c"), { Node: [nodeOf("n1"), other] }), []);
    const made = nodeOf("green", { generation: "bbbbbbbb", zone: "us-east-1c" });
    assert.deepEqual(about(inZone("us-east-1c"), { Node: [nodeOf("n1"), made] }), []);
  });
  it("are a matter where the other node is cordoned, or keeps the pod off by a taint", () => {
    for (const spec of [
      { unschedulable: true },
      { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] },
    ]) {
      const other = nodeOf("other", { pool: null, zone: "us-east-1c", spec });
      assert.equal(about(inZone("us-east-1c"), { Node: [nodeOf("n1"), other] }).length, 1);
    }
  });
  it("are not judged where nobody knows what green is", () =>
    assert.deepEqual(about(inZone("us-east-1c"), {}, { green: undefined }), []));
  it("follow in the driver's own name for a zone", () => {
    const key = "topology.disk.csi.azure.com/zone";
    const blue = nodeOf("n1", { labels: { [key]: "eastus-1" } });
    assert.deepEqual(about(pv(at([[key, ["eastus-1"]]])), { Node: [blue] }), []);
  });
  it("of several zones need one of them", () => {
    const both = pv(at([[ZONE, ["us-east-1b", "us-east-1c"]]]));
    assert.match(about(both)[0] ?? "", /is in zones us-east-1b, us-east-1c and cannot leave/);
    assert.deepEqual(about(pv(at([[ZONE, ["us-east-1a", "us-east-1c"]]]))), []);
  });
  it("count a zone of green only if it may have nodes", () => {
    const green = { ...GREEN, zones: GREEN.zones.map((zone) => ({ ...zone, min: 0, max: 0 })) };
    assert.match(about(inZone("us-east-1a"), {}, { green })[0] ?? "", /green offers no zone/);
  });
  it("on a disk of blue's block", () => {
    assert.deepEqual(about(pv({ local: { path: "/d" }, ...at([["kubernetes.io/hostname", ["n1"]]]) })), [
      "block volume-local: PersistentVolumeClaim shop/data-db-0: its volume pv-1 is on the disk of node n1, so pod shop/db-0 would find no other node. " +
        "To go on: if the application copies its data by itself: `kubectl cordon n1`, `kubectl -n shop delete pvc data-db-0 --wait=false` and `kubectl -n shop delete pod db-0`, one replica after the other; else move the data to a volume that is not local, or move the pod yourself (rollout.drain.podSelector leaves it out, with rollout.drain.excludedPods: hold)",
    ]);
    assert.match(
      about(pv({ hostPath: { path: "/d" } }))[0] ?? "",
      /is a directory on the disk of node n1 \(hostPath, without node affinity\), so pod shop\/db-0 would start without its data elsewhere/,
    );
  });
  it("on several disks go to one that stays", () => {
    const two = pv(at([["linstor.csi.linbit.com/hostname", ["n1", "other"]]]));
    const other = nodeOf("other", { pool: null, labels: { "linstor.csi.linbit.com/hostname": "other" } });
    assert.deepEqual(about(two, { Node: [nodeOf("n1"), other] }), []);
  });
  it("are told once for a claim that several pods use, and not of pods that are left out", () => {
    const second = podOf("db-1", { owner: refTo("StatefulSet", "db"), spec: { ...USES, nodeName: "n1" } });
    assert.equal(about(inZone("us-east-1c"), { Pod: [db, second] }).length, 1);
    const config = { drain: { podSelector: "app!=web", excludedPods: "hold" } };
    assert.deepEqual(about(inZone("us-east-1c"), {}, { config }), []);
  });
  it("of generic ephemeral volumes go with the pod: no matter", () => {
    const spec = { nodeName: "n1", volumes: [{ name: "data", ephemeral: {} }] };
    const scratch = claim({ metadata: named("PersistentVolumeClaim", "job-0-data") });
    const pod = podOf("job-0", { spec });
    assert.deepEqual(about(inZone("us-east-1c"), { Pod: [pod], PersistentVolumeClaim: [scratch] }), []);
  });
  it("without a zone on them warn", () => {
    assert.deepEqual(about(pv(csi("ebs.csi.aws.com"))), [
      "warning volume-unknown-zone: PersistentVolumeClaim shop/data-db-0: its volume pv-1 (ebs.csi.aws.com) is in one zone, and nothing on it says in which, so nobody knows whether pod shop/db-0 can use it on green. " +
        "To go on: give the PersistentVolume a node affinity for its zone, or see that green has nodes in it: `kubectl get pv pv-1 -o yaml` names the disk",
    ]);
  });
});

describe("claims that wait for a volume", () => {
  const waits = claim({ spec: { storageClassName: "slow" }, status: { phase: "Pending" } });
  const late: StorageClass = {
    metadata: { name: "slow", uid: "u" },
    volumeBindingMode: "WaitForFirstConsumer",
  };
  const waiting = podOf("db-0", { node: "", owner: refTo("StatefulSet", "db"), spec: USES });
  it("warn, with the pod that wants them", () => {
    assert.deepEqual(
      says(volumes, { PersistentVolumeClaim: [waits], Pod: [waiting], StorageClass: [late] }),
      [
        "warning claim-pending: PersistentVolumeClaim shop/data-db-0: no volume is bound to it (class slow), and pod shop/db-0 waits for it. " +
          "To go on: `kubectl -n shop describe pvc data-db-0` has the provisioner's words",
      ],
    );
  });
  it("for their first pod, or for less than two minutes, are no matter", () => {
    assert.deepEqual(says(volumes, { PersistentVolumeClaim: [waits], StorageClass: [late] }), []);
    const young = { ...waits, metadata: { ...waits.metadata, creationTimestamp: "2026-11-20T11:59:00Z" } };
    assert.deepEqual(says(volumes, { PersistentVolumeClaim: [young], Pod: [waiting] }), []);
  });
  it("of a class that binds at once warn without a pod, too", () =>
    assert.equal(says(volumes, { PersistentVolumeClaim: [waits] }).length, 1));
  it("that have lost their volume say so", () => {
    const lost = claim({ status: { phase: "Lost" } });
    assert.match(
      says(volumes, { PersistentVolumeClaim: [lost], Pod: [waiting] })[0] ?? "",
      /its volume pv-1 is gone \(class gp3\), and pod shop\/db-0 waits for it/,
    );
  });
});
