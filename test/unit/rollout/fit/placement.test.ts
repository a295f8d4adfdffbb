import assert from "node:assert/strict";
import fc from "fast-check";
import type { Pod, PodSpec } from "../../../../rollout/cluster/types.ts";
import { Candidate } from "../../../../rollout/fit/fits.ts";
import { Placement } from "../../../../rollout/fit/placement.ts";
import { FixedPicture } from "../../../../rollout/picture.ts";
import { nodeAt, podWith } from "./world.ts";

const KEYS = ["kubernetes.io/hostname", "topology.kubernetes.io/zone"];

const selector = fc.oneof(
  fc.record({ matchLabels: fc.record({ app: fc.constantFrom("x", "y") }) }),
  fc.record({
    matchExpressions: fc.tuple(
      fc.record({ key: fc.constant("app"), operator: fc.constantFrom("Exists", "DoesNotExist") }),
    ),
  }),
  fc.constant({}),
);
const term = fc.record({ topologyKey: fc.constantFrom(...KEYS), labelSelector: selector });
const spec: fc.Arbitrary<PodSpec & { requests: Record<string, string> }> = fc.record({
  requests: fc.record({ cpu: fc.constantFrom("100m", "1", "2") }),
  affinity: fc.record({
    podAffinity: fc.record({
      requiredDuringSchedulingIgnoredDuringExecution: fc.array(term, { maxLength: 1 }),
    }),
    podAntiAffinity: fc.record({
      requiredDuringSchedulingIgnoredDuringExecution: fc.array(term, { maxLength: 1 }),
    }),
  }),
  topologySpreadConstraints: fc.array(
    fc.record({
      maxSkew: fc.constantFrom(1, 2),
      topologyKey: fc.constantFrom(...KEYS),
      whenUnsatisfiable: fc.constant("DoNotSchedule"),
      labelSelector: selector,
    }),
    { maxLength: 1 },
  ),
});
const pods: fc.Arbitrary<Pod[]> = fc
  .array(fc.tuple(spec, fc.constantFrom("x", "y", ""), fc.constantFrom("shop", "other")), {
    minLength: 1,
    maxLength: 10,
  })
  .map((all) =>
    all.map(([it, app, namespace], i) =>
      podWith(`p${i}`, it, { namespace, labels: app === "" ? {} : { app } }),
    ),
  );

describe("a placement", () => {
  const nodes = [0, 1, 2, 3].map((i) => nodeAt(`n${i}`, { zone: `us-east-1${"ab"[i % 2]}` }));
  const picture = new FixedPicture({ Node: nodes });

  /** What is said of every pod on every node. */
  const verdicts = (placement: Placement, all: Pod[]): unknown =>
    all.map((pod) => {
      const candidate = new Candidate(placement.view(pod), placement);
      return placement.rooms.map((room) => candidate.stopAt(room)?.what ?? "yes");
    });

  it("says the same after any coming and going as one that is made anew", () => {
    const moves = fc.array(fc.tuple(fc.nat(9), fc.nat(3)), { maxLength: 30 });
    fc.assert(
      fc.property(pods, moves, (all, steps) => {
        const followed = new Placement(nodes, () => [], picture);
        verdicts(followed, all); // every counter exists from the start
        const where = new Map<Pod, string>();
        for (const [at, to] of steps) {
          const pod = all[at % all.length];
          const room = followed.rooms[to];
          if (pod === undefined || room === undefined) continue;
          const view = followed.view(pod);
          if (where.delete(pod)) followed.remove(view);
          else {
            followed.add(view, room);
            where.set(pod, room.name);
          }
        }
        const anew = new Placement(nodes, (name) => all.filter((pod) => where.get(pod) === name), picture);
        const others = all.filter((pod) => !where.has(pod));
        assert.deepEqual(verdicts(followed, others), verdicts(anew, others));
      }),
      { numRuns: 500 },
    );
  });
});
