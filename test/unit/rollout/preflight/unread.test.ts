import assert from "node:assert/strict";
import type { ReplicaOwner } from "../../../../rollout/cluster/types.ts";
import { CONTEXT_KINDS, type Unread } from "../../../../rollout/picture.ts";
import { unread } from "../../../../rollout/preflight/unread.ts";
import { named, nodeOf, says, type Lists } from "./scene.ts";

const about = (it: Unread, lists: Lists = {}): string[] => says(unread, lists, { unread: [it] });

describe("kinds that could not be read", () => {
  it("name the permission and what is not judged without it", () => {
    const message = 'horizontalpodautoscalers.autoscaling is forbidden: User "ci" cannot list resource';
    assert.deepEqual(about({ kind: "HorizontalPodAutoscaler", reason: "forbidden", message }), [
      `warning not-judged: ClusterRole patchguard: horizontalpodautoscalers.autoscaling may not be listed, so it is not judged whether an autoscaler decides on the replicas that a budget lacks (${message}). ` +
        "To go on: allow `list` on horizontalpodautoscalers.autoscaling (docs/permissions.md)",
    ]);
  });
  it("say something of their own for each kind, in the core group, too", () => {
    const told = CONTEXT_KINDS.map((kind) => about({ kind, reason: "forbidden", message: "no" })[0] ?? "");
    assert.equal(new Set(told).size, CONTEXT_KINDS.length);
    assert.match(told[CONTEXT_KINDS.indexOf("Namespace")] ?? "", /: namespaces may not be listed/);
  });
  it("a CRD that is not installed is missed only where its controller runs", () => {
    const pool: Unread = { kind: "NodePool", reason: "missing", message: "404" };
    assert.deepEqual(about(pool), []);
    const Node = [nodeOf("n1"), nodeOf("k", { pool: null, labels: { "karpenter.sh/nodepool": "default" } })];
    assert.deepEqual(about(pool, { Node }), [
      "warning not-judged: ClusterRole patchguard: the API server does not serve nodepools.karpenter.sh in the version v1, so it is not judged whether Karpenter disrupts nodes meanwhile. " +
        "To go on: `kubectl api-resources | grep nodepools` shows the versions that it has; update the controller",
    ]);
    const vpa: Unread = { kind: "VerticalPodAutoscaler", reason: "missing", message: "404" };
    const runs = (image: string): ReplicaOwner => ({
      metadata: named("Deployment", "it", "kube-system"),
      spec: { replicas: 1, template: { spec: { containers: [{ name: "c", image }] } } },
    });
    assert.deepEqual(about(vpa), []);
    assert.equal(
      about(vpa, { Deployment: [runs("registry.k8s.io/autoscaling/vpa-updater:1.5.1")] }).length,
      1,
    );
    assert.equal(about(pool, { Deployment: [runs("public.ecr.aws/karpenter/controller:1.8.1")] }).length, 1);
  });
  it("a kind of Kubernetes' own that is not served is missed", () =>
    assert.equal(about({ kind: "HorizontalPodAutoscaler", reason: "missing", message: "404" }).length, 1));
});
