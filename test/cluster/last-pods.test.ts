/** Pods that the selector leaves out, and volumes that cannot follow, on a real API server. */
import assert from "node:assert/strict";
import { createCluster } from "../../rollout/cluster/client.ts";
import { connect } from "../../rollout/cluster/kubeconfig.ts";
import { systemClock } from "../../rollout/clock.ts";
import { rolloutSchema } from "../../rollout/config/rollout.ts";
import { sentence } from "../../rollout/finding.ts";
import type { LogLine } from "../../rollout/log.ts";
import { findings } from "../../rollout/preflight/findings.ts";
import { takeSnapshot } from "../../rollout/snapshot.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { apply, budget, deployment, statefulSet } from "../support/workloads.ts";

const [FROM, TO] = ["aaaaaaaa", "bbbbbbbb"];
const ZONES = ["us-east-1a", "us-east-1b"];

describe("pods that are moved last, on a real API server", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox();
  const nodesOf = (generation: string, color: string) =>
    addFakeNodes(
      sandbox().test.api,
      ZONES.map((zone, i) => ({ name: `${color}-${i + 1}`, pool: "workers", generation, zone })),
    );

  before("a generation with pods, one of them critical", async () => {
    const { test, view } = sandbox();
    await nodesOf(FROM, "blue");
    const quick = { start: "500ms", stop: "500ms" };
    await apply(
      test.api,
      deployment({ name: "web", replicas: 4, ...quick }),
      budget({ name: "web", app: "web", maxUnavailable: 2 }),
      deployment({ name: "ledger", replicas: 2, labels: { role: "critical" }, ...quick }),
      budget({ name: "ledger", app: "ledger", maxUnavailable: 2 }),
      statefulSet({ name: "db", replicas: 2, storage: "zonal", ...quick }),
    );
    for (const [name, replicas] of [
      ["web", 4],
      ["ledger", 2],
      ["db", 2],
    ] as const)
      await view.ready(name, replicas, 60);
    await view.budgetAllows("default/ledger", 2);
  });

  it("says before green exists which volume has no place, which pods go last, and that a set has no budget", async () => {
    const config = await connect({
      kind: "kubernetes",
      kubeconfig: sandbox().sandbox.kubeconfig,
      context: "sandbox",
    });
    const cluster = createCluster(config, {
      requestTimeoutSeconds: 30,
      userAgent: "patchguard/test",
      clock: systemClock,
    });
    const picture = await takeSnapshot(cluster);
    const found = findings({
      picture,
      target: { pool: "workers", generation: TO, image: { releaseVersion: "1.34.1-20251027" }, groups: [] },
      config: rolloutSchema.parse({}),
      now: systemClock.now(),
      green: {
        kind: "eks-managed",
        instanceTypes: ["m7i.large"],
        capacityType: "ON_DEMAND",
        labels: {},
        taints: [],
        zones: [{ zone: "us-east-1c", subnet: "subnet-c", min: 2, max: 4 }],
      },
    });
    const told = (rule: string): string[] => found.filter((it) => it.rule === rule).map(sentence);
    const volumes = told("volume-zone");
    assert.equal(volumes.length, 2, volumes.join("\n"));
    assert.match(
      volumes[0] ?? "",
      /^PersistentVolumeClaim default\/data-db-0: its volume \S+ \(\S+\) is in zone us-east-1[ab] and cannot leave; green offers us-east-1c, and no other node there takes pod default\/db-0/,
    );
    assert.deepEqual(
      told("no-budget").map((text) => text.split(":")[0]),
      ["StatefulSet default/db"],
    );
    const last = told("pod-excluded");
    assert.equal(last.length, 2);
    assert.match(last[0] ?? "", /^Pod default\/ledger-\S+: .*moved when all others are, alone/);
    assert.deepEqual(told("statefulset-not-whole"), []);
    assert.match(picture.serverVersion ?? "", /^v1\.\d+/);
    assert.deepEqual(told("node-skew"), []);
  });

  it("moves them when all others have gone, one at a time, each with its own health window", async () => {
    const { watched, view } = sandbox();
    await nodesOf(TO, "green");
    const lines: LogLine[] = [];
    await watched(async () => {
      await moveNodes({
        kubeconfig: sandbox().sandbox.kubeconfig,
        pool: "workers",
        generation: TO,
        rollout: { health: { windowSeconds: 3 } },
        sink: (line) => void lines.push(line),
      });
      return { outcome: "finished", stayClosed: { nodes: ["blue-1", "blue-2"] } };
    });
    const story = lines.flatMap(({ event, message, pod }) => {
      if (event === "evict") return [String(pod).includes("ledger") ? "evict ledger" : "evict other"];
      return event === "health" && message.endsWith("passed") ? ["window"] : [];
    });
    const from = story.indexOf("evict ledger");
    assert.deepEqual(story.slice(from), ["evict ledger", "window", "evict ledger", "window"]);
    assert.ok(
      view
        .pods()
        .filter(({ metadata }) => metadata.labels?.["app"] === "ledger")
        .every(({ spec }) => spec?.nodeName?.startsWith("green")),
    );
  });
});
