import assert from "node:assert/strict";
import { slimmer } from "../../../rollout/cluster/slim.ts";
import type { Pod, ReplicaOwner } from "../../../rollout/cluster/types.ts";
import { collections } from "../../bench/synthetic.ts";

const pods = collections({ nodes: 3, pods: 40, budgets: 0 })["/api/v1/pods"];
const podAt = (index: number): Pod => pods?.at(index) as Pod;

describe("what is kept of an object that was read", () => {
  it("is what judges a pod: names, labels, owner, requests, constraints, states", () => {
    const full = podAt(0);
    const kept = slimmer("Pod")(podAt(0));
    assert.deepEqual(kept.metadata.labels, full.metadata.labels);
    assert.deepEqual(kept.metadata.ownerReferences, full.metadata.ownerReferences);
    assert.deepEqual(kept.spec?.containers?.[0]?.resources, full.spec?.containers?.[0]?.resources);
    assert.deepEqual(kept.spec?.tolerations, full.spec?.tolerations);
    assert.deepEqual(kept.spec?.affinity, full.spec?.affinity);
    assert.deepEqual(kept.spec?.topologySpreadConstraints, full.spec?.topologySpreadConstraints);
    assert.deepEqual(kept.status?.conditions, full.status?.conditions);
    assert.equal(kept.status?.containerStatuses?.[0]?.restartCount, 0);
  });
  it("is not environment, probes, tokens, digests or managed fields", () => {
    const text = JSON.stringify(slimmer("Pod")(podAt(1)));
    assert.doesNotMatch(text, /SETTING_|livenessProbe|kube-api-access|imageID|containerID|managedFields/);
    assert.match(JSON.stringify(podAt(1)), /SETTING_.*livenessProbe/);
  });
  it("is what a container holds while its pod is resized, and only then", () => {
    const pod = (type: string): Pod => ({
      metadata: { name: "p", uid: "1" },
      status: {
        conditions: [{ type, status: "True" }],
        containerStatuses: [{ name: "a", ...{ allocatedResources: { cpu: "2" } } }],
      },
    });
    const held = { name: "a", allocatedResources: { cpu: "2" } };
    assert.deepEqual(slimmer("Pod")(pod("PodResizePending")).status?.containerStatuses, [held]);
    assert.deepEqual(slimmer("Pod")(pod("Ready")).status?.containerStatuses, [{ name: "a" }]);
  });
  it("is one copy of what pods of one owner have alike", () => {
    const slim = slimmer("Pod");
    const [first, second] = [slim(podAt(0)), slim(podAt(1))];
    assert.notEqual(first.metadata.name, second.metadata.name);
    assert.equal(first.metadata.labels, second.metadata.labels);
    assert.equal(first.spec?.containers, second.spec?.containers);
  });
  it("is who scaled a Deployment last, and nobody's doings elsewhere", () => {
    const object = (): ReplicaOwner => ({
      metadata: { name: "web", uid: "1", managedFields: [{ manager: "kubectl", subresource: "scale" }] },
      spec: {
        replicas: 1,
        template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "a" }] } },
      },
    });
    assert.equal(slimmer("Deployment")(object()).metadata.managedFields?.[0]?.manager, "kubectl");
    const set = slimmer("ReplicaSet")(object());
    assert.equal(set.metadata.managedFields, undefined);
    assert.deepEqual(set.spec?.template, { metadata: { labels: { app: "web" } } });
  });
});
