import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadScenario, type Scenario } from "./scenario.ts";

const HEAD = "kind: Scenario\ntitle: t\nsource: owner/repo#1\n";

describe("the loader of scenarios", () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), "patchguard-scenario-"))));
  after(() => rmSync(folder, { recursive: true }));
  const load = (text: string): Scenario => {
    const file = join(folder, "scenario.yaml");
    writeFileSync(file, text);
    return loadScenario(file);
  };

  it("makes a Deployment's ReplicaSet and pods, Ready where nothing else is said, and counts the budget", () => {
    const { picture } = load(`${HEAD}---
kind: Deployment
metadata: { name: web, namespace: shop }
spec: { replicas: 2 }
pods: [blue-a1, { node: blue-b1, status: { containerStatuses: [{ name: web, ready: false }] } }]
---
kind: PodDisruptionBudget
metadata: { name: web, namespace: shop }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
`).question;
    const set = picture.get("ReplicaSet", "web-7c9d8f6b5d", "shop");
    assert.equal(set?.metadata.ownerReferences?.[0]?.name, "web");
    assert.deepEqual(set.status?.readyReplicas, 1);
    assert.deepEqual(
      picture.podsOf(set.metadata.uid).map(({ spec }) => spec?.nodeName),
      ["blue-a1", "blue-b1"],
    );
    const budget = picture.get("PodDisruptionBudget", "web", "shop");
    assert.deepEqual([budget?.status?.currentHealthy, budget?.status?.disruptionsAllowed], [1, 0]);
  });
  it("binds a StatefulSet's claims to volumes in the zone of their pods", () => {
    const { picture } = load(`${HEAD}---
kind: StatefulSet
metadata: { name: db, namespace: shop }
spec: { replicas: 1, volumeClaimTemplates: [{ metadata: { name: data } }] }
pods: [blue-b1]
`).question;
    const claim = picture.get("PersistentVolumeClaim", "data-db-0", "shop");
    const volume = picture.get("PersistentVolume", claim?.spec?.volumeName ?? "");
    assert.deepEqual(volume?.spec?.nodeAffinity?.required?.nodeSelectorTerms?.[0]?.matchExpressions, [
      { key: "topology.kubernetes.io/zone", operator: "In", values: ["us-east-1b"] },
    ]);
  });
  it("leaves out kinds that could not be listed", () => {
    const { picture } = load(`${HEAD}unread: [{ kind: CSINode, reason: forbidden }]\n`).question;
    assert.deepEqual([picture.all("CSINode").length, picture.unread.length], [0, 1]);
  });
  it("refuses a file without a source, an unknown field, and an object that nothing reads", () => {
    assert.throws(
      () => load("kind: Scenario\ntitle: t\nsource: somewhere\n"),
      /names no issue and no address/,
    );
    assert.throws(() => load(`${HEAD}expects: []\n`), /expects/);
    assert.throws(
      () => load(`${HEAD}---\nkind: Service\nmetadata: { name: web }\n`),
      /Service web: nothing reads/,
    );
  });
});
