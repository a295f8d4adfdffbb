import assert from "node:assert/strict";
import type {
  Container,
  CronJob,
  DaemonSet,
  NodePool,
  ReplicaOwner,
} from "../../../../rollout/cluster/types.ts";
import { evictors } from "../../../../rollout/preflight/evictors.ts";
import { GREEN, named, nodeOf, podOf, refTo, says } from "./scene.ts";

const template = (container: Partial<Container>) => ({ spec: { containers: [{ name: "c", ...container }] } });
const deployment = (name: string, container: Partial<Container>, replicas = 1): ReplicaOwner => ({
  metadata: named("Deployment", name, "kube-system"),
  spec: { replicas, template: template(container) },
});
const daemonSet = (name: string, image: string, annotations = {}): DaemonSet => ({
  metadata: { ...named("DaemonSet", name, "kube-system"), annotations },
  spec: { template: template({ image }) },
  status: { desiredNumberScheduled: 1 },
});
const LOCK = "weave.works/kured-node-lock";

describe("other evictors at work", () => {
  it("kured that holds its lock, with the node", () => {
    const set = daemonSet("kured", "ghcr.io/kubereboot/kured:1.20.0", {
      [LOCK]: '{"nodeID":"n7","metadata":{}}',
    });
    assert.deepEqual(says(evictors, { DaemonSet: [set] }), [
      "warning evictor-active: DaemonSet kube-system/kured: kured holds its lock for node n7 (annotation weave.works/kured-node-lock): it drains that node and reboots it. " +
        "To go on: wait until the node is back; if kured no longer works on it: `kubectl -n kube-system annotate daemonset kured weave.works/kured-node-lock-`",
    ]);
  });
  it("kured that holds several locks under a key of its own", () => {
    const value = '{"maxOwners":2,"locks":[{"nodeID":"n9"},{"nodeID":"n7"}]}';
    const set = daemonSet("reboots", "mirror.example/kured", { "example.com/lock": value });
    assert.match(
      says(evictors, { DaemonSet: [set] })[0] ?? "",
      /for node n7, n9 \(annotation example.com\/lock\)/,
    );
  });
  it("not kured whose lock has outlived itself", () => {
    const lock = (minutes: number): string =>
      `{"nodeID":"n7","created":"2026-11-20T11:00:00Z","TTL":${minutes * 60e9}}`;
    const about = (minutes: number): string[] =>
      says(evictors, {
        DaemonSet: [daemonSet("kured", "kubereboot/kured:1.20.0", { [LOCK]: lock(minutes) })],
      });
    assert.deepEqual(about(59), []);
    assert.equal(about(61).length, 1);
    assert.equal(about(0).length, 1, "no end");
  });
  it("not kured without a lock, nor another program with that annotation", () => {
    const idle = daemonSet("kured", "ghcr.io/kubereboot/kured:1.20.0", {
      note: "not json",
      [LOCK]: '{"nodeID":""}',
    });
    const other = daemonSet("other", "example/other", { [LOCK]: '{"nodeID":"n7"}' });
    assert.deepEqual(says(evictors, { DaemonSet: [idle, other] }), []);
  });
  it("the cluster autoscaler, by image or by command", () => {
    const images = [
      { image: "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.1@sha256:00" },
      { image: "mirror.example/k8s-cluster-autoscaler-amd64:v1" },
      { image: "mirror.example/ca:1", command: ["./cluster-autoscaler", "--v=4"] },
    ];
    for (const image of images) {
      assert.deepEqual(says(evictors, { Deployment: [deployment("scaler", image)] }), [
        "warning evictor-active: Deployment kube-system/scaler: it evicts the pods of nodes that it finds underused; PatchGuard keeps it off green's nodes and freezes blue's groups, but other nodes may go, and their pods spend the same budgets. " +
          "To go on: nothing if that is all right; to be sure set --scale-down-enabled=false until the handover is over (scaling it to 0 would also keep green from growing)",
      ]);
    }
  });
  it("not an autoscaler that scales nothing down, has no replicas, or scales something else", () => {
    const image = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.34.1";
    const calm = deployment("calm", {
      image,
      command: ["./cluster-autoscaler", "--scale-down-enabled=false"],
    });
    const off = deployment("off", { image }, 0);
    const dns = deployment("dns", { image: "registry.k8s.io/cpa/cluster-proportional-autoscaler:v1.9.0" });
    assert.deepEqual(says(evictors, { Deployment: [calm, off, dns] }), []);
  });
  it("the descheduler as Deployment and as CronJob, unless it is suspended", () => {
    const image = "registry.k8s.io/descheduler/descheduler:v0.34.0";
    const job = (name: string, suspend: boolean): CronJob => ({
      metadata: named("CronJob", name, "kube-system"),
      spec: { suspend, jobTemplate: { spec: { template: template({ image }) } } },
    });
    const found = says(evictors, {
      Deployment: [deployment("descheduler", { image })],
      CronJob: [job("often", false), job("never", true)],
    });
    assert.deepEqual(found, [
      "warning evictor-active: Deployment kube-system/descheduler: it evicts pods by rules of its own, also those that have just moved. " +
        "To go on: `kubectl -n kube-system scale deployment/descheduler --replicas=0`",
      "warning evictor-active: CronJob kube-system/often: it evicts pods by rules of its own, also those that have just moved. " +
        `To go on: suspend it for the time: \`kubectl -n kube-system patch cronjob often -p '{"spec":{"suspend":true}}'\``,
    ]);
  });
  it("AWS's node termination handler, and draino", () => {
    const handler = daemonSet("nth", "public.ecr.aws/aws-ec2/aws-node-termination-handler:v1.25.2");
    const idle = { ...handler, status: { desiredNumberScheduled: 0 } };
    assert.match(
      says(evictors, { DaemonSet: [handler] })[0] ?? "",
      /DaemonSet kube-system\/nth: it drains a node when AWS/,
    );
    assert.deepEqual(says(evictors, { DaemonSet: [idle] }), []);
    const draino = deployment("draino", { image: "planetlabs/draino:5e07e93" });
    assert.match(says(evictors, { Deployment: [draino] })[0] ?? "", /it drains nodes by their conditions/);
  });
  it("Karpenter's NodePools that may disrupt nodes", () => {
    const pool = (name: string, disruption: NonNullable<NodePool["spec"]>["disruption"]): NodePool => ({
      metadata: { name, uid: name },
      ...{ spec: { disruption } },
    });
    const Node = [nodeOf("n1"), nodeOf("k1", { pool: null, labels: { "karpenter.sh/nodepool": "busy" } })];
    const NodePools = [
      pool("busy", {
        consolidationPolicy: "WhenEmpty",
        budgets: [{ nodes: "1" }, { nodes: "0", schedule: "@daily" }],
      }),
      pool("calm", { budgets: [{ nodes: "10%" }, { nodes: "0" }] }),
    ];
    assert.deepEqual(says(evictors, { Node, NodePool: NodePools }), [
      "warning evictor-active: NodePool busy: Karpenter may disrupt its nodes (1 now; WhenEmpty, drift, expiry; budget 1 of its nodes, 0 of its nodes at @daily), and their pods spend the same budgets. " +
        'To go on: nothing if that is all right; to be sure put {nodes: "0"} into its budgets until the handover is over: `kubectl edit nodepool busy`, spec.disruption.budgets',
    ]);
    assert.match(says(evictors, { NodePool: [pool("default", {})] })[0] ?? "", /budget 10% of its nodes/);
  });
  it("the VPA updater, for workloads that move or cannot be seen", () => {
    const updater = deployment("vpa-updater", { image: "registry.k8s.io/autoscaling/vpa-updater:1.5.1" });
    const vpa = (name: string, kind: string, mode?: string) => ({
      metadata: named("VerticalPodAutoscaler", name),
      spec: {
        targetRef: { kind, name },
        ...(mode === undefined ? {} : { updatePolicy: { updateMode: mode } }),
      },
    });
    const still: ReplicaOwner = { metadata: named("Deployment", "still"), spec: { replicas: 1 } };
    const web: ReplicaOwner = { metadata: named("Deployment", "web"), spec: { replicas: 1 } };
    const set: ReplicaOwner = {
      metadata: { ...named("ReplicaSet", "web-5d8"), ownerReferences: [refTo("Deployment", "web")] },
    };
    const lists = {
      Deployment: [updater, still, web],
      ReplicaSet: [set],
      Pod: [podOf("web-1")],
      VerticalPodAutoscaler: [
        vpa("web", "Deployment", "Recreate"),
        vpa("still", "Deployment", "Auto"),
        vpa("rollout", "Rollout"),
        vpa("off", "Deployment", "Off"),
        vpa("initial", "Deployment", "Initial"),
      ],
    };
    const found = says(evictors, lists);
    assert.equal(found.length, 2);
    assert.equal(
      found[0],
      "warning evictor-active: VerticalPodAutoscaler shop/web: in mode Recreate the updater evicts pods of Deployment shop/web to resize them, also while they move. " +
        `To go on: let it only recommend until the handover is over: \`kubectl -n shop patch vpa web --type merge -p '{"spec":{"updatePolicy":{"updateMode":"Off"}}}'\``,
    );
    assert.match(found[1] ?? "", /VerticalPodAutoscaler shop\/rollout: in mode Auto/);
    assert.deepEqual(says(evictors, { ...lists, Deployment: [still, web] }), [], "nobody updates");
    const unread = [{ kind: "Deployment", reason: "forbidden", message: "no" }] as const;
    assert.equal(
      says(evictors, { ...lists, Deployment: [] }, { unread: [...unread] }).length,
      3,
      "nobody knows",
    );
  });
  it("EKS node repair, by config and by its agent", () => {
    const agent = daemonSet(
      "eks-node-monitoring-agent",
      "602401143452.dkr.ecr.us-east-1.amazonaws.com/eks/eks-node-monitoring-agent:v1.4.0",
    );
    assert.deepEqual(says(evictors, { DaemonSet: [agent] }, { green: { ...GREEN, nodeRepair: true } }), [
      "warning evictor-active: Pool workers: nodeRepair is on: EKS replaces nodes that it finds broken, and drains them without asking PatchGuard. " +
        "To go on: nothing if that is all right; a broken node of green is then replaced in mid-handover and waited for",
      "warning evictor-active: DaemonSet kube-system/eks-node-monitoring-agent: it reports broken nodes to EKS; where a node group has auto repair on, EKS replaces nodes that it finds broken, and drains them without asking PatchGuard. " +
        "To go on: `aws eks describe-nodegroup` shows nodeRepairConfig of each group; nothing if repairs are all right",
    ]);
  });
});
