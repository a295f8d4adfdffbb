/**
 * The simulation against the real kube-scheduler: one pod against a fixed placement, thousands of times. Several small worlds share the
 * cluster; each pod selects its world's nodes, and what is counted over all nodes is counted over all by the simulation, too.
 */
import assert from "node:assert/strict";
import { KubeConfig } from "@kubernetes/client-node";
import fc from "fast-check";
import { systemClock } from "../../rollout/clock.ts";
import { createCluster } from "../../rollout/cluster/client.ts";
import type { Pod } from "../../rollout/cluster/types.ts";
import { fits } from "../../rollout/fit/fits.ts";
import { Placement } from "../../rollout/fit/placement.ts";
import type { Picture } from "../../rollout/picture.ts";
import { podName } from "../../rollout/pods.ts";
import { takeSnapshot } from "../../rollout/snapshot.ts";
import { Decisions } from "../support/scheduler-decisions.ts";
import {
  podManifest,
  ROLE,
  WORLD,
  worldCase,
  type WorldCase,
  worldObjects,
} from "../support/scheduling-cases.ts";
import { useSandbox } from "../support/sandbox.ts";
import { until } from "../support/until.ts";
import { apply, collectionPath, type Manifest, objectPath } from "../support/workloads.ts";

/** SCHEDULER_CASES and SCHEDULER_SEED in the environment change the run. */
const CASES = Number(process.env["SCHEDULER_CASES"] ?? 5000);
const SEED = Number(process.env["SCHEDULER_SEED"] ?? 20261120);
const WORLDS = 10;
const CANDIDATES = 125;
const MINUTES = 20;

interface Outcome {
  pod: Pod;
  world: string;
  real: { node?: string; message?: string };
  yes: string[];
  unknown: string[];
  stops: string[];
}

describe("the simulation of the scheduler against kube-scheduler", function () {
  this.timeout(MINUTES * 60_000);
  const sandbox = useSandbox();
  const run = Date.now().toString(36).slice(-4);

  it(`${CASES} pods against fixed placements: no wrong "fits", at most 1 % over-cautious`, async () => {
    const { test, sandbox: box } = sandbox();
    const config = new KubeConfig();
    config.loadFromFile(box.kubeconfig);
    const cluster = createCluster(config, {
      requestTimeoutSeconds: 30,
      userAgent: "patchguard/test",
      clock: systemClock,
    });
    const decisions = await Decisions.follow(test.api, ROLE);
    const outcomes: Outcome[] = [];
    const began = Date.now();
    let inPods = 0;
    for (let round = 0; outcomes.length < CASES; round++) {
      const cases = fc.sample(worldCase(CANDIDATES), {
        seed: SEED + round,
        numRuns: Math.min(WORLDS, Math.ceil((CASES - outcomes.length) / CANDIDATES)),
      });
      const worlds = cases.map((it, i) => ({ name: `w${run}${round.toString(36)}${i}`, it }));
      await Promise.all(worlds.map(({ name, it }) => build(name, it)));
      const nodes = worlds.flatMap(({ name, it }) => it.nodes.map((_, i) => `${name}n${i}`));
      const picture = await settled(
        nodes,
        worlds.map(({ name }) => name),
      );
      const start = Date.now();
      const found = await Promise.all(worlds.map(({ name, it }) => decide(name, it, picture)));
      inPods += Date.now() - start;
      assert.deepEqual(
        placementText(await takeSnapshot(cluster), nodes),
        placementText(picture, nodes),
        "the placement was not fixed: somebody else changed it",
      );
      outcomes.push(...found.flat());
      await Promise.all(worlds.map(({ name, it }) => takeAway(name, it)));
    }
    decisions.stop();
    report(outcomes, Date.now() - began, inPods);

    async function build(world: string, it: WorldCase): Promise<void> {
      const { spaces, objects } = worldObjects(world, it);
      await apply(test.api, ...spaces);
      await Promise.all(objects.map((object) => apply(test.api, object)));
      for (const { metadata } of spaces)
        await until(
          `service account of ${metadata.name}`,
          async () => await exists(`/api/v1/namespaces/${metadata.name}/serviceaccounts/default`),
          60,
        );
      await Promise.all(
        it.pods.map((pod, i) =>
          apply(
            test.api,
            podManifest(world, `placed${i}`, pod, `${world}n${(pod.node ?? 0) % it.nodes.length}`),
          ),
        ),
      );
    }

    async function exists(path: string): Promise<boolean> {
      return test.api.request("GET", path).then(
        () => true,
        () => false,
      );
    }

    /** What the scheduler sees when the controllers have done with nodes and claims. */
    async function settled(nodes: string[], worlds: string[]): Promise<Picture> {
      let picture: Picture | undefined;
      await until(
        "nodes without the taints of their start, and claims that are bound",
        async () => {
          const now = await takeSnapshot(cluster);
          picture = now;
          const open = nodes.every((name) => {
            const node = now.get("Node", name);
            return (
              node?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ===
                true && !node.spec?.taints?.some(({ key }) => key === "node.kubernetes.io/not-ready")
            );
          });
          const claims = now
            .all("PersistentVolumeClaim")
            .filter(({ metadata }) => worlds.some((world) => metadata.namespace?.startsWith(world)));
          return (
            open &&
            claims.every(({ metadata, status }) => metadata.name === "unbound" || status?.phase === "Bound")
          );
        },
        120,
      );
      assert.ok(picture);
      return picture;
    }

    async function decide(world: string, it: WorldCase, picture: Picture): Promise<Outcome[]> {
      const all = picture.all("Node");
      const mine = all.filter(({ metadata }) => metadata.labels?.[WORLD] === world);
      const placement = new Placement(all, (node) => picture.podsOn(node), picture);
      const found: Outcome[] = [];
      for (const [i, candidate] of it.candidates.entries()) {
        const manifest = podManifest(world, `c${i}`, candidate);
        const decision = decisions.of(manifest.metadata.namespace ?? "", manifest.metadata.name);
        const pod = await test.api.request<Pod>("POST", collectionPath(manifest), manifest);
        const real = await decision;
        await test.api.request("DELETE", objectPath(manifest), {
          apiVersion: "v1",
          kind: "DeleteOptions",
          gracePeriodSeconds: 0,
        });
        const outcome: Outcome = { pod, world, real, yes: [], unknown: [], stops: [] };
        for (const node of mine) {
          const verdict = fits(pod, node, placement);
          if (verdict.fits === "yes") outcome.yes.push(node.metadata.name);
          else if (verdict.fits === "unknown") outcome.unknown.push(node.metadata.name);
          else outcome.stops.push(`${node.metadata.name}: ${verdict.stop.what}`);
        }
        found.push(outcome);
      }
      return found;
    }

    async function takeAway(world: string, it: WorldCase): Promise<void> {
      const { spaces, objects } = worldObjects(world, it);
      const remove = async (object: Manifest): Promise<void> => {
        await test.api
          .request("DELETE", objectPath(object), {
            apiVersion: "v1",
            kind: "DeleteOptions",
            gracePeriodSeconds: 0,
          })
          .catch(() => undefined);
      };
      await Promise.all(it.pods.map((pod, i) => remove(podManifest(world, `placed${i}`, pod, "-"))));
      await Promise.all(objects.filter(({ kind }) => kind !== "PersistentVolumeClaim").map(remove));
      await Promise.all(spaces.map(remove));
    }
  });
});

/** What decides of these nodes and their pods. */
const placementText = (picture: Picture, nodes: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(
    nodes.map((name) => {
      const { spec, status, metadata } = picture.get("Node", name) ?? {};
      const pods = picture
        .podsOn(name)
        .map((pod) => [podName(pod), pod.status?.phase !== "Failed", pod.metadata.deletionTimestamp]);
      return [
        name,
        {
          taints: spec?.taints,
          closed: spec?.unschedulable,
          allocatable: status?.allocatable,
          labels: metadata?.labels,
          pods: pods.toSorted(),
        },
      ];
    }),
  );

function report(outcomes: readonly Outcome[], milliseconds: number, deciding: number): void {
  const count = (keep: (it: Outcome) => boolean): number => outcomes.filter(keep).length;
  const fitted = count(({ real }) => real.node !== undefined);
  const unknown = count(({ yes, unknown }) => yes.length === 0 && unknown.length > 0);
  const wrong = outcomes.filter(({ real, yes }) => real.node === undefined && yes.length > 0);
  const cautious = outcomes.filter(
    ({ real, yes, unknown }) => real.node !== undefined && yes.length + unknown.length === 0,
  );
  const elsewhere = outcomes.filter(
    ({ real, yes, unknown }) =>
      real.node !== undefined && ![...yes, ...unknown].includes(real.node) && yes.length + unknown.length > 0,
  );
  const percent = (part: number): string => `${((100 * part) / outcomes.length).toFixed(2)} %`;
  console.log(
    [
      `      seed ${SEED}: ${outcomes.length} pods, ${fitted} found a node and ${outcomes.length - fitted} did not`,
      `      wrong "fits": ${wrong.length} (${percent(wrong.length)})`,
      `      over-cautious: ${cautious.length} (${percent(cautious.length)}), of nodes: ${elsewhere.length} (${percent(elsewhere.length)})`,
      `      not judged: ${unknown} (${percent(unknown)})`,
      `      ${(milliseconds / 1000).toFixed(0)} s, of which ${(deciding / 1000).toFixed(0)} s were decisions (${((1000 * outcomes.length) / deciding).toFixed(0)} a second)`,
    ].join("\n"),
  );
  const told = (list: readonly Outcome[]): string =>
    list
      .slice(0, 3)
      .map(
        ({ pod, real, yes, stops }) =>
          `\n${JSON.stringify(pod.metadata.labels)} ${JSON.stringify(pod.spec)}\n  scheduler: ${JSON.stringify(real)}\n  simulation: fits ${yes.join(", ") || "nowhere"}; ${stops.join("; ")}`,
      )
      .join("");
  assert.equal(wrong.length, 0, `wrong "fits": ${told(wrong)}`);
  assert.ok(cautious.length <= outcomes.length / 100, `over-cautious: ${told(cautious)}`);
  assert.ok(
    elsewhere.length <= outcomes.length / 100,
    `the scheduler took a node that the simulation refuses: ${told(elsewhere)}`,
  );
}
