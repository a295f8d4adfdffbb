import assert from "node:assert/strict";
import { judge } from "../../watcher/judge.ts";
import { newState } from "../../watcher/state.ts";
import { broken } from "./broken-cases.ts";
import { clean } from "./clean-cases.ts";
import type { Case } from "./scenes.ts";
import { World } from "./world.ts";

const run = (cases: Case[]): void => {
  for (const { name, expect, who, play, requireLease } of cases) {
    it(name, () => {
      const world = new World({ requireLease: requireLease ?? false });
      play(world);
      assert.deepEqual(world.told, expect);
      if (who !== undefined) for (const each of world.found) assert.equal(each.who, who);
    });
  }
};

describe("watcher: streams that break nothing", () => run(clean));

describe("watcher: each promise broken on purpose", () => run(broken));

describe("watcher: the judge is a function of the stream", () => {
  it("says the same of a recorded stream when it is played again", () => {
    for (const { play } of [...clean, ...broken]) {
      const world = new World();
      play(world);
      const again = newState({ requireLease: false });
      const found = world.seen.flatMap((observation) => judge(again, observation));
      assert.deepEqual(found, world.found);
    }
  });
});
