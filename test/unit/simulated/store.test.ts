import assert from "node:assert/strict";
import { VirtualClock } from "../../simulated/clock.ts";
import { labelsMatch } from "../../simulated/select.ts";
import { mergePatch, Store } from "../../simulated/store.ts";
import { world } from "../../simulated/world.ts";

const status = (wanted: number) => (error: unknown) => (error as { status?: number }).status === wanted;

describe("simulated API server", () => {
  const node = (store: Store) =>
    store.create("Node", { metadata: { name: "n", labels: { a: "1" } }, spec: {}, status: {} }, "test");

  it("RFC 7386, the appendix's examples", () => {
    const table: [unknown, unknown, unknown][] = [
      [{ a: "b" }, { a: "c" }, { a: "c" }],
      [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
      [{ a: "b" }, { a: null }, {}],
      [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
      [{ a: ["b"] }, { a: "c" }, { a: "c" }],
      [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
      [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
      [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
      [
        ["a", "b"],
        ["c", "d"],
        ["c", "d"],
      ],
      [{ a: "foo" }, "bar", "bar"],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, result] of table) assert.deepEqual(mergePatch(target, patch), result);
  });

  it("refuses a patch on an old version, and one that changes nothing makes no new version", () => {
    const store = new Store(new VirtualClock());
    const first = node(store);
    const second = store.patch(
      "Node",
      "n",
      undefined,
      { metadata: { labels: { b: "2" }, resourceVersion: first.metadata.resourceVersion } },
      "us",
    );
    assert.deepEqual(second.metadata.labels, { a: "1", b: "2" });
    assert.throws(
      () =>
        store.patch(
          "Node",
          "n",
          undefined,
          { metadata: { labels: { c: "3" }, resourceVersion: first.metadata.resourceVersion } },
          "us",
        ),
      status(409),
    );
    const third = store.patch("Node", "n", undefined, { metadata: { labels: { b: "2" } } }, "us");
    assert.equal(third.metadata.resourceVersion, second.metadata.resourceVersion);
  });

  it("answers 404, 409 on a second creation, 422 on what is invalid; the status is not the client's", () => {
    const store = new Store(new VirtualClock());
    node(store);
    assert.throws(() => node(store), status(409));
    assert.throws(() => store.patch("Node", "other", undefined, {}, "us"), status(404));
    const taint = { key: "k", effect: "NoSchedule" };
    assert.throws(
      () => store.patch("Node", "n", undefined, { spec: { taints: [taint, taint] } }, "us"),
      status(422),
    );
    assert.throws(
      () => store.patch("Node", "n", undefined, { metadata: { labels: { x: "a b" } } }, "us"),
      status(422),
    );
    const lease = {
      metadata: { name: "l", namespace: "kube-system" },
      spec: { renewTime: "2026-01-01T00:00:00.000Z" },
    };
    assert.throws(() => store.create("Lease", lease, "us"), status(400));
    assert.deepEqual(store.patch("Node", "n", undefined, { status: { conditions: [] } }, "us").status, {});
  });

  it("objects are frozen: whoever changes his copy of the cache is found out", () => {
    const store = new Store(new VirtualClock());
    const it = node(store);
    assert.throws(() => ((it.metadata.labels as Record<string, string>)["a"] = "2"), TypeError);
  });

  it("label selectors as in a URL", () => {
    const labels = { app: "web", tier: "front" };
    for (const [text, wanted] of [
      ["app=web", true],
      ["app==db", false],
      ["app!=db", true],
      ["tier in (front,back)", true],
      ["tier notin (front)", false],
      ["app", true],
      ["!app", false],
      ["app=web,!x", true],
      ["", true],
    ] as const) {
      assert.equal(labelsMatch(text, labels), wanted, text);
    }
  });

  it("watches are late, in order, and honour field selectors", async () => {
    const on = world({ seed: 3 });
    node(on.store);
    const client = on.client("us");
    const pod = on.store.create(
      "Pod",
      { metadata: { name: "p" }, spec: {}, status: { phase: "Pending" } },
      "test",
    );
    const cache = await on.run(client.cluster.watch("Pod", { fieldSelector: "spec.nodeName=n" }));
    let calls = 0;
    cache.onChange(() => calls++);
    on.store.update("Pod", pod, (draft) => (draft.spec = { nodeName: "n" }), "test");
    assert.equal(cache.items().length, 0, "not at once");
    await on.clock.pass(1);
    assert.equal(cache.items().length, 1);
    assert.equal(cache.get("p", "default")?.spec?.nodeName, "n");
    on.store.remove("Pod", cache.items()[0] as never, "test");
    await on.clock.pass(60);
    assert.equal(cache.items().length, 0);
    assert.ok(calls >= 2);
    await assert.rejects(
      on.run(client.cluster.list("Node", { fieldSelector: "spec.containers=x" })),
      status(400),
    );
  });
});
