/** Nodes that others change in mid-drain, and pods that come late: each a trap of drains, on a real API server. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Hold } from "../../rollout/errors.ts";
import { useSandbox } from "../support/sandbox.ts";
import { type RunningHandover, type Trap, useTraps } from "../support/traps.ts";
import { until } from "../support/until.ts";
import { apply, budget, deployment } from "../support/workloads.ts";
import { ANNOTATION_CLOSED_BY } from "../watcher/names.ts";
import type { Node } from "../watcher/objects.ts";
import type { Watcher } from "../watcher/watcher.ts";

const run = promisify(execFile);

describe("nodes that others have a hand in", function () {
  this.timeout(3 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  const node = (name: string | undefined): Node | undefined => sandbox().view.get("Node", name ?? "");
  const isCordoned = (name: string | undefined): boolean => node(name)?.spec?.unschedulable === true;
  const cordonShows = (name: string | undefined): Promise<boolean> =>
    sandbox().view.eventually(() => isCordoned(name), {
      timeoutSeconds: 30,
      describe: `node ${name} is cordoned`,
    });

  /** A pod on this node that keeps the drain at it until `letGo`. */
  const gateOn = (trap: Trap, name: string | undefined): Promise<void> =>
    trap.putOn(
      name,
      deployment({ name: "gate", replicas: 1, ...trap.at }),
      budget({ name: "gate", namespace: trap.at.namespace, maxUnavailable: 0 }),
    );
  const letGo = (trap: Trap): Promise<void> => trap.setBudget("gate", { maxUnavailable: 1 });

  /** Starts the handover, and waits until the drain stands at the gate. */
  const startToGate = async (trap: Trap, watcher: Watcher, drain: object = {}): Promise<RunningHandover> => {
    watcher.exemptBudget(`${trap.at.namespace}/gate`);
    const handover = trap.start({ ...trap.excepting("gate"), drain });
    await handover.saw("evict-refused", ({ message }) => message.includes("/gate-"));
    return handover;
  };

  /** What a scheduler does last: binds a pod to a node. */
  const bind = (trap: Trap, pod: string, to: string | undefined): Promise<unknown> =>
    sandbox().test.api.request("POST", `${trap.podPath(pod)}/binding`, {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: pod, namespace: trap.at.namespace },
      target: { apiVersion: "v1", kind: "Node", name: to },
    });
  /** An app whose pods nobody binds but the test. */
  const unbound = async (trap: Trap, name: string): Promise<string> => {
    const app = deployment({ name, replicas: 1, ...trap.at, spec: { schedulerName: "the-test" } });
    await apply(sandbox().test.api, app);
    return nextUnbound(trap, name);
  };
  const nextUnbound = async (trap: Trap, app: string): Promise<string> => {
    const pod = await sandbox().view.eventually(
      () => trap.pods(app).find(({ spec }) => spec?.nodeName === undefined),
      { timeoutSeconds: 60, describe: `a pod of ${app} waits for a node` },
    );
    return pod.metadata.name;
  };

  it("a blue node that an autoscaler adds in mid-drain is closed, named, and drained after the others", async () => {
    const trap = await set("growth");
    await gateOn(trap, trap.blue[0]);
    const [green] = await trap.addGreen();
    const { test, view, watched } = sandbox();
    await watched(async (watcher) => {
      const handover = await startToGate(trap, watcher);
      // waits for a node of its own kind, and tolerates that blue is closed: the new blue node runs it at once
      const nodeSelector = { ...trap.at.nodeSelector, "example.com/kind": "late" };
      const spec = { tolerations: [{ key: "patchguard.dev/handover", operator: "Exists" }] };
      await apply(test.api, deployment({ name: "late", replicas: 1, ...trap.at, nodeSelector, spec }));
      const [added] = await trap.addBlue(1, { labels: { "example.com/kind": "late" } });
      const { message } = await handover.saw("close", (line) => line.message.includes(added ?? "?"));
      assert.match(
        message,
        /Node growth-blue-2 .*joined after blue was closed: it takes no new pods, and is drained/,
      );
      const [pod] = await view.ready("late", 1, 60, trap.at.namespace);
      assert.equal(pod?.spec?.nodeName, added);
      await test.api.request("PATCH", `/api/v1/nodes/${green}`, {
        metadata: { labels: { "example.com/kind": "late" } },
      });
      await letGo(trap);
      const { nodes, pods } = await handover.done;
      assert.deepEqual([nodes, pods], [2, 2]);
      assert.ok(isCordoned(added));
      return trap.finished();
    });
    assert.ok([...trap.pods("late"), ...trap.pods("gate")].every(({ spec }) => spec?.nodeName === green));
  });

  it("a pod that a scheduler binds just after the cordon is moved with the others", async () => {
    const trap = await set("late-bind");
    await trap.put(deployment({ name: "web", replicas: 1, ...trap.at }));
    const [green] = await trap.addGreen();
    const late = await unbound(trap, "late");
    const summary = await sandbox().watched(async () => {
      const handover = trap.start();
      await handover.saw("evict");
      await bind(trap, late, trap.blue[0]);
      await handover.saw("evict", ({ pod }) => String(pod).endsWith(`/${late}`));
      await bind(trap, await nextUnbound(trap, "late"), green);
      await handover.done;
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 2 });
    assert.ok([...trap.pods("late"), ...trap.pods("web")].every(({ spec }) => spec?.nodeName === green));
  });

  it("a pod that something binds to a node long after its cordon holds, by name, and is left alone", async () => {
    const trap = await set("bound");
    await gateOn(trap, trap.blue[0]);
    await trap.addGreen();
    const stray = await unbound(trap, "stray");
    const summary = await sandbox().watched(async (watcher) => {
      const handover = await startToGate(trap, watcher);
      const { time } = await handover.saw("node-start");
      await until("no scheduler can lag that far behind", () => Date.now() - Date.parse(time) > 10_000);
      await bind(trap, stray, trap.blue[0]);
      await assert.rejects(handover.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(
          error.message,
          new RegExp(
            `Pod trap-bound/${stray} was started on node bound-blue-1 although the node is cordoned`,
          ),
        );
        assert.match(
          error.message,
          /To go on: take the toleration or spec\.nodeName away from its controller/,
        );
        return true;
      });
      return trap.reopened();
    });
    assert.deepEqual(summary.evictions, {});
  });

  it("a node that somebody uncordons in mid-drain is cordoned once more, and drained", async () => {
    const trap = await set("uncordon");
    const [blue] = trap.blue;
    await gateOn(trap, blue);
    await trap.addGreen();
    const { kubectl, watched } = sandbox();
    await watched(async (watcher) => {
      const handover = await startToGate(trap, watcher);
      await kubectl.cordon(blue ?? "", false);
      const { message } = await handover.saw("foreign");
      assert.match(
        message,
        /Node uncordon-blue-1 was uncordoned by somebody else in mid-drain; PatchGuard cordons it once more/,
      );
      await cordonShows(blue);
      await letGo(trap);
      await handover.done;
      assert.ok(isCordoned(blue));
      return trap.finished();
    });
  });

  it("a node that somebody uncordons twice in mid-drain holds, by name", async () => {
    const trap = await set("stubborn");
    const [blue] = trap.blue;
    await gateOn(trap, blue);
    await trap.addGreen();
    const { kubectl, watched } = sandbox();
    const summary = await watched(async (watcher) => {
      const handover = await startToGate(trap, watcher);
      await kubectl.cordon(blue ?? "", false);
      await handover.saw("foreign");
      await cordonShows(blue);
      await kubectl.cordon(blue ?? "", false);
      await assert.rejects(handover.done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        assert.match(error.message, /Node stubborn-blue-1 was uncordoned by somebody else twice/);
        return true;
      });
      return trap.reopened();
    });
    assert.deepEqual(summary.evictions, {});
  });

  it("a cordon that somebody else has set stays, after a hold and after a success", async () => {
    const trap = await set("foreign", 2);
    const [first, second] = trap.blue;
    await trap.putOn(first, deployment({ name: "web", replicas: 1, ...trap.at }));
    await gateOn(trap, second);
    await trap.addGreen();
    const { kubectl, watched } = sandbox();
    await kubectl.cordon(second ?? "");
    await watched(async (watcher) => {
      const held = await startToGate(trap, watcher, { budgetTimeoutSeconds: 3 });
      await assert.rejects(held.done, Hold);
      assert.deepEqual(await watcher.expectReopened(), []);
      assert.deepEqual([isCordoned(first), isCordoned(second)], [false, true]);
      watcher.held();
      await letGo(trap);
      await trap.start().done;
      assert.ok(isCordoned(second));
      const marks = node(second)?.metadata.annotations?.[ANNOTATION_CLOSED_BY] ?? "";
      assert.ok(marks !== "" && !marks.includes('"cordon"'), `not claimed as ours: ${marks}`);
      return trap.finished();
    });
  });

  it("spot nodes that kubectl drains in mid-drain are waited for and planned anew, and never counted as ours", async () => {
    const trap = await set("spot", 3);
    const [first, second, third] = trap.blue;
    await gateOn(trap, first);
    const slow = { ...trap.at, stop: "8s" };
    await trap.putOn(
      second,
      deployment({ name: "web", replicas: 2, ...slow }),
      budget({ name: "web", namespace: trap.at.namespace, maxUnavailable: 2 }),
    );
    await trap.putOn(third, deployment({ name: "api", replicas: 1, ...trap.at }));
    await trap.addGreen();
    const { cloud, view, watched, sandbox: box } = sandbox();
    const kubectlDrain = (name = ""): Promise<unknown> =>
      run(join(box.dir, "bin/kubectl"), [
        `--kubeconfig=${box.kubeconfig}`,
        ...["drain", name, "--ignore-daemonsets", "--timeout=60s"],
      ]);
    const leaving = (): number => trap.podsOn(second).filter((it) => it.metadata.deletionTimestamp).length;
    const summary = await watched(async (watcher) => {
      const handover = await startToGate(trap, watcher);
      await kubectlDrain(third);
      await cloud.deleteNode(third ?? "");
      const foreign = kubectlDrain(second);
      await view.eventually(() => leaving() === 2, {
        timeoutSeconds: 30,
        describe: "kubectl has evicted the pods of the second node",
      });
      await letGo(trap);
      const { pods } = await handover.done;
      assert.equal(leaving(), 0, "waited for");
      await foreign;
      assert.equal(pods, 1, "pods that PatchGuard has moved");
      const { message } = await handover.saw("node-drained", (line) => line.node === second);
      assert.match(
        message,
        /Node spot-blue-2 is drained: 0 pods moved .* 2 pods went by somebody else's hand/,
      );
      assert.deepEqual(
        handover.evicted().map((name) => name.split("-")[0]),
        ["gate"],
      );
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { kubectl: 3, patchguard: 1 });
    await view.ready("web", 2, 60, trap.at.namespace);
    await view.ready("api", 1, 60, trap.at.namespace);
  });
});
