import assert from "node:assert/strict";
import { BLUE, GREEN, runHandover, story } from "../../simulated/handovers.ts";
import { world, type World } from "../../simulated/world.ts";

const ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef";

/** Blue and green of one zone, whose groups put their instances into a target group. */
async function balanced(greenToo = true): Promise<World> {
  const zones = ["us-east-1a"];
  const on = await world({ seed: 11 })
    .pool("workers", { ...BLUE, zones, perZone: 1 })
    .settled();
  await on.deployment("web", { replicas: 2, budget: { maxUnavailable: 1 } }).settled();
  await on.pool("workers", { ...GREEN, zones, perZone: 1 }).settled();
  for (const group of on.cloud.groups.values())
    if (greenToo || group.generation === BLUE.generation) group.targetGroupArns = [ARN];
  return on;
}

/** A handover that sees these states of green's instance, one second each, the last from then on. */
async function over(on: World, ...states: (string | undefined)[]) {
  const began = on.clock.now();
  const green = [...on.cloud.groups.values()].find(({ generation }) => generation === GREEN.generation);
  const id = green?.instances[0]?.id ?? "";
  let closedAt: number | undefined;
  const run = await runHandover(on, "only", {
    groups: [{ kind: "eks-managed", name: green?.name ?? "", zone: "us-east-1a" }],
    rollout: { health: { windowSeconds: 0 }, green: { timeoutSeconds: 60 } },
    onClient: ({ cloud }) => {
      cloud.targetHealth = () => {
        const at = Math.min(states.length - 1, Math.floor((on.clock.now() - began) / 1000));
        const state = states[at];
        return Promise.resolve(new Map([[ARN, new Map(state === undefined ? [] : [[id, state]])]]));
      };
    },
    onLine: ({ event }) => {
      if (event === "close") closedAt ??= on.clock.now() - began;
    },
  });
  return { run, id, closedAt };
}

describe("target groups that blue serves", () => {
  it("have green healthy in them before blue is touched", async () => {
    const on = await balanced();
    const later = Array.from({ length: 8 }, () => "initial");
    const { run, closedAt } = await over(on, undefined, ...later, "healthy");
    assert.ok(run.outcome, `${run.error?.message}\n${story(on, run)}`);
    assert.ok(closedAt !== undefined && closedAt >= 9000, `closed ${closedAt} ms after the start`);
  });

  for (const [state, says] of [
    ["unhealthy", "is unhealthy in"],
    [undefined, "is not registered in"],
  ] as const)
    it(`hold while green ${says} one, with instance and group, and blue untouched`, async () => {
      const on = await balanced();
      const { run, id, closedAt } = await over(on, state);
      assert.equal(run.error?.name, "Hold");
      assert.match(run.error.message, new RegExp(`instance ${id} ${says} target group ${ARN}`));
      assert.equal(closedAt, undefined);
    });

  it("hold when no green group is attached to one", async () => {
    const on = await balanced(false);
    const { run, closedAt } = await over(on, "healthy");
    assert.match(
      run.error?.message ?? "",
      new RegExp(`target group ${ARN} has blue instances, and no green group is attached to it`),
    );
    assert.equal(closedAt, undefined);
  });
});
