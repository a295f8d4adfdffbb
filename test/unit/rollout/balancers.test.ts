import assert from "node:assert/strict";
import { Balancers } from "../../../rollout/balancers.ts";
import { CloudError } from "../../../rollout/cloud/cloud.ts";
import { Hold } from "../../../rollout/errors.ts";
import { Inventory } from "../../../rollout/inventory.ts";
import { type LogLine, RunLog } from "../../../rollout/log.ts";
import { LABEL_EXCLUDE_LB } from "../../../rollout/names.ts";
import type { Run } from "../../../rollout/run.ts";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { groupsFor, type World, world } from "../../simulated/world.ts";

/** What a node in hand still waits for, on a simulated cloud with target groups of type instance. */
describe("load balancers", () => {
  const SEED = 21;
  let on: World;
  let run: Run;
  let log: LogLine[];
  let balancers: Balancers;

  beforeEach(async () => {
    on = await world({ seed: SEED })
      .pool("workers", { ...BLUE, perZone: 1 })
      .settled();
    log = [];
    const client = on.client("only");
    run = {
      ...client,
      target: {
        pool: "workers",
        generation: "bbbbbbbb",
        image: { ami: "ami-2" },
        groups: groupsFor("workers", "bbbbbbbb"),
      },
      inventory: await on.run(Inventory.open(client.cluster)),
      log: new RunLog(client.clock, [(line) => log.push(line)]),
      state: { record: { nodes: {} } },
    } as unknown as Run;
    balancers = new Balancers(run);
  });
  afterEach(() => run.inventory.close());

  const nodeNames = (): string[] => on.nodes().map(({ metadata }) => metadata.name);
  const instanceOf = (name: string): string =>
    on.store.get("Node", name)?.spec?.providerID?.split("/").at(-1) ?? "";
  /** In hand: recorded, and labelled with the cordon. */
  const take = async (name: string): Promise<void> => {
    run.state.record.nodes[name] = { phase: "in-hand", moved: [], owners: [] };
    const node = on.store.get("Node", name);
    assert.ok(node);
    on.store.update(
      "Node",
      node,
      (draft) => (draft.metadata.labels = { ...draft.metadata.labels, [LABEL_EXCLUDE_LB]: "true" }),
      "only",
    );
    await pass(1);
  };
  /** Seconds go by. */
  const pass = (seconds: number): Promise<void> => on.run(run.clock.sleep(seconds * 1000));
  /** Looks once a second, as the handover does, until nothing is left to wait for. @returns seconds */
  const waited = async (name: string, limit = 2000): Promise<number> => {
    for (let seconds = 0; seconds < limit; seconds++) {
      await on.run(balancers.look());
      if (balancers.waitingFor(name) === undefined) return seconds;
      await pass(1);
    }
    throw new Error(`still waiting: ${balancers.waitingFor(name)}`);
  };

  it("are waited for: the controller's reaction, then the delay of the target group", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 60, controllerSeconds: 10 });
    const [name = ""] = nodeNames();
    await take(name);
    assert.match(balancers.waitingFor(name) ?? "", /^it is not known yet whether load balancers still send/);
    await on.run(balancers.look());
    assert.match(
      balancers.waitingFor(name) ?? "",
      new RegExp(`^its instance ${instanceOf(name)} is healthy in target group web, \\d s after`),
    );
    await pass(15);
    await on.run(balancers.look());
    assert.match(
      balancers.waitingFor(name) ?? "",
      /is draining in target group web, 1\d s after .*delay 60 s\)$/,
    );
    const seconds = await waited(name);
    assert.ok(seconds >= 50 && seconds <= 62, `${seconds} s`);
  });

  it("that have let a node go are not asked about it again; the next node is asked about at once", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 5, controllerSeconds: 1 });
    const [first = "", second = "", third = ""] = nodeNames();
    await take(first);
    await waited(first);
    const { health } = { ...on.cloud.loadBalancers.asked };
    await pass(60);
    await on.run(balancers.look());
    assert.equal(on.cloud.loadBalancers.asked.health, health);
    await take(second);
    await on.run(balancers.look());
    assert.match(balancers.waitingFor(second) ?? "", /target group web/);
    assert.equal(balancers.waitingFor(first), undefined);
    await take(third);
    await on.run(balancers.look());
    assert.match(balancers.waitingFor(third) ?? "", /target group web/, "not 5 s later");
  });

  it("are asked every 5 s at most, all nodes in hand at once, and only those that hold blue instances", async () => {
    const { loadBalancers } = on.cloud;
    loadBalancers.add("web", { delaySeconds: 40, controllerSeconds: 1 });
    for (const name of ["of-others-1", "of-others-2"])
      loadBalancers.must(loadBalancers.add(name, { delaySeconds: 40 })).targets.clear();
    const names = nodeNames();
    for (const name of names) await take(name);
    const seconds = Math.max(...[await waited(names[0] ?? ""), await waited(names[1] ?? "")]);
    const { groups, health, delays } = loadBalancers.asked;
    assert.equal(groups, 1);
    assert.equal(delays, 1, "of the one group that is waited for");
    assert.ok(health <= 3 + Math.ceil(seconds / 5) + 2, `${health} groups in ${seconds} s`);
  });

  it("cost one call where there are none", async () => {
    const [name = ""] = nodeNames();
    run.cloud.groups = () => assert.fail("no need to know whose instances are in them");
    await take(name);
    assert.equal(await waited(name), 0);
    for (let look = 0; look < 20; look++) {
      await pass(1);
      await on.run(balancers.look());
    }
    assert.deepEqual(on.cloud.loadBalancers.asked, { groups: 1, health: 0, delays: 0 });
  });

  it("cost nothing before a node is in hand", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 60, controllerSeconds: 10 });
    await on.run(balancers.look());
    assert.deepEqual(on.cloud.loadBalancers.asked, { groups: 0, health: 0, delays: 0 });
    assert.equal(balancers.waitingFor(nodeNames()[0] ?? ""), undefined, "not in hand, not labelled");
  });

  it("that Auto Scaling itself fills are not waited for: it deregisters what it ends, and waits", async () => {
    const arn = on.cloud.loadBalancers.add("attached", { delaySeconds: 60 });
    for (const group of on.cloud.groups.values()) group.targetGroupArns = [arn];
    const [name = "", second = ""] = nodeNames();
    await take(name);
    assert.equal(await waited(name), 0);
    await take(second);
    assert.equal(await waited(second), 0);
    assert.equal(on.cloud.loadBalancers.asked.health, 1, "once, to find out");
  });

  it("that Auto Scaling fills for one group are waited for where a controller has registered another's instances", async () => {
    const arn = on.cloud.loadBalancers.add("shared", { delaySeconds: 60, controllerSeconds: 1 });
    const [name = "", second = ""] = nodeNames();
    for (const group of on.cloud.groups.values())
      if (group.instances.some(({ id }) => id === instanceOf(name))) group.targetGroupArns = [arn];
    await take(name);
    await take(second);
    assert.equal(await waited(name), 0);
    assert.ok((await waited(second)) >= 55);
  });

  it("of a node that an earlier run has drained are not asked about again", async () => {
    on.cloud.loadBalancers.add("by-hand", { delaySeconds: 30 });
    const [name = ""] = nodeNames();
    await take(name);
    run.state.record.nodes[name] = { phase: "drained", moved: [], owners: [] };
    await on.run(balancers.look());
    assert.equal(on.cloud.loadBalancers.asked.groups, 0);
  });

  it("without traffic are not waited for", async () => {
    const { loadBalancers } = on.cloud;
    const { targets } = loadBalancers.must(loadBalancers.add("spare", { delaySeconds: 60 }));
    for (const id of targets.keys()) targets.set(id, "unused");
    const [name = ""] = nodeNames();
    await take(name);
    assert.equal(await waited(name), 0);
  });

  it("that never let a node go end in a hold that names group, instance, and where to look", async () => {
    on.cloud.loadBalancers.add("by-hand", { delaySeconds: 30 });
    const [name = ""] = nodeNames();
    await take(name);
    const began = run.clock.now();
    await assert.rejects(waited(name), (error: Error) => {
      assert.ok(error instanceof Hold);
      assert.match(
        error.message,
        new RegExp(`Instance ${instanceOf(name)} of node ${name} is still healthy`),
      );
      assert.match(
        error.message,
        /in target group by-hand \(arn:aws:.*\), 15\d s after .*delay is 30 s\. To go on: /,
      );
      assert.match(error.message, /load balancer controller/);
      return true;
    });
    const seconds = (run.clock.now() - began) / 1000;
    assert.ok(seconds >= 148 && seconds <= 160, `${seconds} s`);
  });

  it("whose controller reacts late still have their delay: the deadline is delay and slack together", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 30, controllerSeconds: 100 });
    const [name = ""] = nodeNames();
    await take(name);
    const seconds = await waited(name);
    assert.ok(seconds >= 128 && seconds <= 140, `${seconds} s`);
  });

  it("that cannot be asked are told once, asked again, and waited for meanwhile", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 5, controllerSeconds: 1 });
    const [name = ""] = nodeNames();
    const groups = run.cloud.targetGroups.bind(run.cloud);
    let failing = true;
    run.cloud.targetGroups = () =>
      failing
        ? Promise.reject(
            new CloudError("AccessDenied", "missing permission elasticloadbalancing:DescribeTargetGroups"),
          )
        : groups();
    await take(name);
    for (let seconds = 0; seconds < 60; seconds++) {
      await on.run(balancers.look());
      await pass(1);
    }
    assert.match(balancers.waitingFor(name) ?? "", /not known yet .*missing permission/);
    assert.equal(log.filter(({ level }) => level === "warning").length, 1);
    failing = false;
    await waited(name, 30);
  });

  it("that can never be asked end in a hold with the reason", async () => {
    run.cloud.targetGroups = () =>
      Promise.reject(
        new CloudError("AccessDenied", "missing permission elasticloadbalancing:DescribeTargetGroups."),
      );
    const [name = ""] = nodeNames();
    await take(name);
    await assert.rejects(waited(name), /could not be asked for 42\d s: missing permission \S+ To go on: /);
  });

  it("a node that is lost is waited for no longer", async () => {
    on.cloud.loadBalancers.add("by-hand", { delaySeconds: 30 });
    const [name = ""] = nodeNames();
    await take(name);
    await on.run(balancers.look());
    assert.ok(balancers.waitingFor(name));
    on.lose(name);
    assert.ok((await waited(name)) < 10);
  });

  it("a target group that is made in mid-handover is found within ten minutes", async () => {
    const { loadBalancers } = on.cloud;
    const [first = "", second = ""] = nodeNames();
    await take(first);
    await waited(first);
    loadBalancers.add("new", { delaySeconds: 60, controllerSeconds: 1 });
    await pass(600);
    await take(second);
    assert.ok((await waited(second)) >= 50);
  });

  it("hold up their node's end, and not the next node's beginning", async () => {
    on.cloud.loadBalancers.add("web", { delaySeconds: 90, controllerSeconds: 1 });
    await on.deployment("web", { replicas: 6, budget: { maxUnavailable: 2 } }).settled();
    await on.pool("workers", { ...GREEN, perZone: 1 }).settled();
    const events: unknown[] = [];
    const states: (string | undefined)[] = [];
    const handover = await runHandover(on, "handover", {
      rollout: { health: { windowSeconds: 0 } },
      onLine: ({ event, node }) => {
        if (event === "node-start" || event === "node-drained") events.push(event);
        if (event !== "node-drained") return;
        for (const { targets } of on.cloud.loadBalancers.groups.values())
          states.push(targets.get(instanceOf(String(node))));
      },
    });
    assert.ok(handover.outcome, story(on, handover));
    assert.deepEqual(states, [undefined, undefined, undefined]);
    assert.deepEqual(events, [
      ...Array<string>(3).fill("node-start"),
      ...Array<string>(3).fill("node-drained"),
    ]);
  });
});
