import assert from "node:assert/strict";
import { parseAuditLine } from "../../watcher/audit-log.ts";
import type { ObjectSeen, Observation } from "../../watcher/observation.ts";
import { actorOf, showActor } from "../../watcher/observation.ts";
import { HOLD_MS, Sequencer } from "../../watcher/sequencer.ts";

const pod = (name: string, version: number, at: number, deleted = false): ObjectSeen => ({
  type: "object",
  at,
  change: "MODIFIED",
  object: {
    kind: "Pod",
    metadata: {
      name,
      namespace: "shop",
      uid: name,
      resourceVersion: String(version),
      ...(deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
    },
  },
});

const eviction = (name: string, at: number): Observation => ({
  type: "request",
  at,
  verb: "create",
  resource: "pods",
  subresource: "eviction",
  namespace: "shop",
  name,
  actor: { name: "patchguard" },
  code: 201,
});

const told = (observations: Observation[]): string[] =>
  observations.map((o) => (o.type === "object" ? o.object.metadata.name : o.type));

describe("watcher: the order of what arrives", () => {
  it("holds everything back for a while", () => {
    const sequencer = new Sequencer();
    sequencer.push(pod("a", 1, 1000));
    assert.deepEqual(told(sequencer.release(1000 + HOLD_MS - 1)), []);
    assert.equal(sequencer.holdsBack(1000), true);
    assert.deepEqual(told(sequencer.release(1000 + HOLD_MS)), ["a"]);
    assert.equal(sequencer.holdsBack(1000), false);
  });

  it("orders objects by version, and a mark before what happened after it", () => {
    const sequencer = new Sequencer();
    sequencer.push(pod("second", 12, 1000));
    sequencer.push(pod("first", 11, 1400));
    sequencer.push({ type: "mark", at: 1200, mark: { mark: "killed" } });
    sequencer.push(pod("third", 13, 1300));
    assert.deepEqual(told(sequencer.release(9000)), ["first", "second", "mark", "third"]);
  });

  it("lets the end of a pod wait for the request that caused it", () => {
    const sequencer = new Sequencer();
    sequencer.push(pod("a", 1, 1000, true));
    sequencer.push(pod("b", 2, 1001));
    assert.deepEqual(told(sequencer.release(4000)), []);
    sequencer.push(eviction("a", 990));
    assert.deepEqual(told(sequencer.release(4100)), ["request", "a", "b"]);
  });

  it("does not wait for ever, nor for a pod that terminated before", () => {
    const sequencer = new Sequencer();
    sequencer.skipCause("old");
    sequencer.push(pod("old", 1, 1000, true));
    sequencer.push(pod("a", 2, 1000, true));
    assert.deepEqual(told(sequencer.release(4000)), ["old"]);
    assert.deepEqual(told(sequencer.release(20_000)), ["a"]);
  });
});

describe("watcher: the audit log", () => {
  const line = (more: object): string =>
    JSON.stringify({
      stage: "ResponseComplete",
      verb: "create",
      requestURI: "/api/v1/namespaces/shop/pods/web-1/eviction",
      userAgent: "patchguard/0.1.0",
      user: { username: "admin" },
      objectRef: { resource: "pods", subresource: "eviction", namespace: "shop", name: "web-1" },
      responseStatus: { code: 201 },
      requestReceivedTimestamp: "2026-01-01T00:00:00.500000Z",
      ...more,
    });

  it("reads an eviction", () => {
    const request = parseAuditLine(line({ requestObject: { deleteOptions: {} } }));
    assert.equal(request?.at, Date.parse("2026-01-01T00:00:00.500Z"));
    assert.deepEqual(
      [request?.actor, request?.code, request?.subresource],
      [{ name: "patchguard" }, 201, "eviction"],
    );
    assert.equal(request?.body, '{"deleteOptions":{}}');
  });

  for (const [name, more] of Object.entries({
    "a read": { verb: "get" },
    "an unfinished request": { stage: "ResponseStarted" },
    "a dry run by the address": { requestURI: "/api/v1/namespaces/shop/pods/web-1/eviction?dryRun=All" },
    "a dry run by the body": { requestObject: { deleteOptions: { dryRun: ["All"] } } },
  })) {
    it(`passes over ${name}`, () => assert.equal(parseAuditLine(line(more)), undefined));
  }

  it("tells programs apart", () => {
    const cases: [string, string, string][] = [
      ["patchguard/0.1.0 (node)", "admin", "patchguard"],
      ["sandbox-machine-room", "sandbox:machine-room", "machine-room"],
      ["kubectl/v1.34.4 (linux/amd64) kubernetes/abc", "admin", "kubectl"],
      ["watcher-test", "admin", "test"],
      [
        "kube-controller-manager/v0.0.0 (linux/amd64) kubernetes/$Format/system:serviceaccount:kube-system:replicaset-controller",
        "system:serviceaccount:kube-system:replicaset-controller",
        "kube-controller-manager (replicaset-controller)",
      ],
      ["kwok/v0.8.0 (linux/amd64) kwok/abc", "sandbox:kwok", "kwok"],
      ["", "sandbox:kwok", "sandbox:kwok"],
    ];
    for (const [agent, user, expected] of cases) assert.equal(showActor(actorOf(agent, user)), expected);
  });
});
