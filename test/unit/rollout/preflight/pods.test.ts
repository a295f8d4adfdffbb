import assert from "node:assert/strict";
import type { Toleration } from "../../../../rollout/cluster/types.ts";
import { pods } from "../../../../rollout/preflight/pods.ts";
import { webhooks } from "../../../../rollout/preflight/webhooks.ts";
import type { WebhookConfiguration } from "../../../../rollout/cluster/types.ts";
import { podOf, says } from "./scene.ts";

describe("pods that need the operator's word", () => {
  it("emptyDir volumes with medium and size", () => {
    const volumes = [
      { name: "cache", emptyDir: { sizeLimit: "2Gi" } },
      { name: "shm", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
      { name: "tmp", emptyDir: {} },
    ];
    assert.deepEqual(says(pods, { Pod: [podOf("web-1", { spec: { nodeName: "n1", volumes } })] }), [
      "block empty-dir: Pod shop/web-1: its emptyDir volume cache (up to 2Gi), shm (in memory, up to 64Mi), tmp is lost when it moves (on node n1). " +
        "To go on: set rollout.drain.deleteEmptyDirData: true once no data lives only there",
    ]);
  });
});

describe("pods that the selector leaves out", () => {
  const Pod = [podOf("web-1", { labels: { role: "critical" } })];
  it("go last by default", () =>
    assert.deepEqual(says(pods, { Pod }), [
      "warning pod-excluded: Pod shop/web-1: rollout.drain.podSelector (role!=critical) leaves it out (on node n1), so it is moved when all others are, alone and with a health window of its own. " +
        "To go on: nothing; to move it yourself instead set rollout.drain.excludedPods: hold",
    ]));
  it("are left to the operator with hold", () =>
    assert.deepEqual(says(pods, { Pod }, { config: { drain: { excludedPods: "hold" } } }), [
      "warning pod-excluded: Pod shop/web-1: rollout.drain.podSelector (role!=critical) leaves it out (on node n1), so its node cannot be emptied, and the handover holds when all else is moved. " +
        "To go on: move it yourself before that, widen the selector, or set rollout.drain.excludedPods: last",
    ]));
});

describe("pods that tolerate every taint", () => {
  const about = (tolerations: Toleration[]): string[] =>
    says(pods, { Pod: [podOf("web-1", { spec: { nodeName: "n1", tolerations } })] });
  it("are named with what makes them", () => {
    assert.deepEqual(about([{ operator: "Exists" }]), [
      "warning pod-tolerates-everything: Pod shop/web-1: it tolerates every taint that keeps pods off a node, a cordon's too (on node n1), so the scheduler may send it back to a node that is being emptied, and the handover would hold. " +
        "To go on: let ReplicaSet shop/web-5d8 tolerate by key what it has to (`operator: Exists` without a key is everything), or move it yourself (rollout.drain.podSelector leaves it out, with rollout.drain.excludedPods: hold)",
    ]);
  });
  it("may name the effect of a cordon", () =>
    assert.equal(about([{ operator: "Exists", effect: "NoSchedule" }]).length, 1));
  it("are not those that name a key, or another effect", () => {
    assert.deepEqual(about([{ key: "gpu", operator: "Exists" }]), []);
    assert.deepEqual(about([{ operator: "Exists", effect: "NoExecute" }]), []);
  });
});

describe("webhooks that a dry run cannot ask", () => {
  type Webhook = NonNullable<WebhookConfiguration["webhooks"]>[number];
  const about = (change: Partial<Webhook>, kind = "ValidatingWebhookConfiguration"): string[] => {
    const rules = [{ apiGroups: [""], operations: ["CREATE"], resources: ["pods/eviction"] }];
    const webhook = { name: "guard.example.com", sideEffects: "Some", rules, ...change };
    const configuration = { metadata: { name: "guard", uid: "u" }, webhooks: [webhook] };
    const labels = { team: "shop" };
    const Namespace = [{ metadata: { name: "shop", uid: "ns", labels } }];
    return says(webhooks, { Pod: [podOf("web-1")], Namespace, [kind]: [configuration] });
  };
  it("are named with their configuration", () => {
    const found =
      "warning eviction-not-judged: ValidatingWebhookConfiguration guard: webhook guard.example.com is asked about evictions and declares side effects (Some), so a dry run cannot ask it, and what it answers shows only in the drain. " +
      "To go on: see from its documentation whether it denies evictions; if it does nothing in a dry run, let it declare sideEffects: NoneOnDryRun";
    assert.deepEqual(about({}), [found]);
    assert.equal(about({}, "MutatingWebhookConfiguration").length, 1);
    assert.equal(about({ sideEffects: "Unknown" }).length, 1);
    const all = [{ apiGroups: ["*"], operations: ["*"], resources: ["*/*"] }];
    assert.equal(about({ rules: all }).length, 1);
  });
  it("are not those that can be asked, or are asked about something else", () => {
    for (const sideEffects of ["None", "NoneOnDryRun"]) assert.deepEqual(about({ sideEffects }), []);
    const rules = (resources: string[], operations = ["CREATE"]) => [
      { apiGroups: [""], operations, resources },
    ];
    assert.deepEqual(about({ rules: rules(["pods"]) }), []);
    assert.deepEqual(about({ rules: rules(["*"]) }), [], "without a slash it covers no subresource");
    assert.deepEqual(about({ rules: rules(["pods/eviction"], ["DELETE"]) }), []);
    assert.deepEqual(
      about({ objectSelector: { matchLabels: { app: "web" } } }),
      [],
      "an Eviction has no labels",
    );
  });
  it("are asked about the namespaces that they select", () => {
    assert.equal(about({ namespaceSelector: { matchLabels: { team: "shop" } } }).length, 1);
    assert.deepEqual(about({ namespaceSelector: { matchLabels: { team: "other" } } }), []);
  });
});
