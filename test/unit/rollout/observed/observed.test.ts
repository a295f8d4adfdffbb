import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiError } from "../../../../rollout/cluster/cluster.ts";
import {
  Abandoned,
  Blocked,
  Breach,
  Hold,
  Interrupted,
  Paused,
  Refused,
} from "../../../../rollout/errors.ts";
import { handover } from "../../../../rollout/handover.ts";
import { type Evidence, evidenceSchema, type Result } from "../../../../rollout/observed/evidence.ts";
import { observed, resultOf } from "../../../../rollout/observed/observed.ts";
import type { Job } from "../../../../rollout/run.ts";
import { freePort } from "../../../support/free-port.ts";
import { type Ended, runHandover, type RunOptions, smallWorld, story } from "../../../simulated/handovers.ts";
import type { World } from "../../../simulated/world.ts";

/** A handover under observation, on a simulated cluster. */
describe("a handover under observation", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "patchguard-observed-"))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (
    on: World,
    options: RunOptions = {},
    change: (job: Job) => Partial<Job> = () => ({}),
  ): Promise<Ended> =>
    runHandover(on, "only", {
      work: (job) => observed({ ...job, ...change(job) }, handover, folder),
      ...options,
    });
  const written = (): Evidence =>
    evidenceSchema.parse(
      JSON.parse(readFileSync(join(folder, "workers-bbbbbbbb-only.evidence.json"), "utf8")),
    );
  const kept = (on: World): Record<string, string> | undefined =>
    on.store.all("ConfigMap").find(({ metadata }) => metadata.name === "patchguard-workers-evidence")?.data;

  it("ends with what happened: every eviction of the API server, every node, and the proof", async () => {
    const on = await smallWorld(3);
    const pods = new Map(on.store.all("Pod").map((pod) => [pod.metadata.uid, pod.metadata.name]));
    const ended = await run(on);
    assert.ok(ended.outcome, story(on, ended));
    const evidence = written();
    assert.equal(evidence.result, "succeeded");
    assert.deepEqual(evidence.proof, JSON.parse(JSON.stringify(ended.outcome.proof)));

    const all = on.happenings.flatMap((it) => (it.what === "eviction" ? [it.eviction] : []));
    const asked = all.filter(({ dryRun }) => !dryRun);
    const granted = asked.filter(({ status }) => status.code === 201);
    assert.equal(evidence.evictions, granted.length);
    assert.equal(evidence.evictions, 7);
    assert.equal(
      Object.values(evidence.refusals).reduce((sum, number) => sum + number, 0),
      asked.length - granted.length,
    );
    assert.equal(evidence.rehearsals, all.length - asked.length);
    assert.deepEqual(
      evidence.pods.map(({ uid }) => pods.get(uid)).toSorted(),
      granted.map(({ pod }) => pod.name).toSorted(),
    );
    for (const { pod, node, evictedAt, goneAt, replacedAt, stopSeconds, startSeconds } of evidence.pods)
      assert.ok(
        node && evictedAt && goneAt && replacedAt && stopSeconds !== undefined && startSeconds !== undefined,
        pod,
      );
    assert.deepEqual(
      evidence.nodes.map(({ drainedAt, pods }) => [drainedAt !== undefined, pods > 0]),
      Array.from({ length: 3 }, () => [true, true]),
    );
    assert.equal(evidence.run.seconds, Math.round(evidence.run.seconds * 1000) / 1000);
  });

  it("is kept in the cluster, too, with its metrics", async () => {
    const on = await smallWorld(3);
    await run(on);
    const data = kept(on);
    const summary = evidenceSchema.parse(JSON.parse(data?.["evidence"] ?? "null"));
    assert.equal(summary.evictions, 7);
    assert.match(data?.["metrics"] ?? "", /^patchguard_evictions_total\{.*pool="workers"\} 7$/m);
    assert.match(data?.["metrics"] ?? "", /^patchguard_pod_move_seconds_count\{.*phase="stop"\} 7$/m);
  });

  it("whatever the end: a hold names its reason, and time behind a budget counts until it", async () => {
    const on = await smallWorld(3);
    const ended = await run(on, {
      rollout: { drain: { budgetTimeoutSeconds: 60 } },
      onLine: ({ event }) => {
        if (event === "evict") on.behave("ReplicaSet", "web", { readyOn: () => false });
      },
    });
    assert.equal(ended.error?.name, "Hold", story(on, ended));
    const evidence = written();
    assert.equal(evidence.result, "held");
    assert.equal(evidence.why, ended.error.message);
    assert.equal(evidence.proof, undefined);
    assert.equal(evidenceSchema.parse(JSON.parse(kept(on)?.["evidence"] ?? "null")).result, "held");
  });

  it("a run that was blocked leaves nothing in the cluster", async () => {
    const on = await smallWorld(3);
    on.behave("ReplicaSet", "web", { readyOn: () => false });
    for (const pod of on.store.all("Pod").filter(({ metadata }) => metadata.labels?.["app"] === "web"))
      on.store.update(
        "Pod",
        pod,
        (draft) => {
          for (const condition of draft.status?.conditions ?? [])
            if (condition.type === "Ready") condition.status = "False";
        },
        "kubelet",
      );
    const ended = await run(on, { rollout: { preflight: { timeoutSeconds: 60 } } });
    assert.equal(ended.error?.name, "Blocked", story(on, ended));
    assert.equal(kept(on), undefined);
    const evidence = written();
    assert.equal(evidence.result, "blocked");
    const [first] = evidence.blocked;
    assert.equal(first?.cause, "preflight");
    assert.equal(`${first.namespace}/${first.name}`, "default/web");
    assert.ok(first.seconds >= 59 && first.seconds <= 65, String(first.seconds));
  });

  it("each end has its result", () => {
    const ends: [Error, Result][] = [
      [new Hold(""), "held"],
      [new Breach(""), "rolled-back"],
      [new Paused(""), "paused"],
      [new Interrupted(""), "interrupted"],
      [new Abandoned(""), "abandoned"],
      [new Blocked(""), "blocked"],
      [new Refused(""), "refused"],
      [new AggregateError([new Hold("")], "and putting back failed"), "failed"],
    ];
    for (const [error, result] of ends) assert.equal(resultOf(error), result);
  });

  it("nothing that goes wrong in here changes the outcome: each is one warning", async () => {
    const on = await smallWorld(3);
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const ended = await run(
      on,
      {
        rollout: {
          metrics: { textfile: "/dev/null/none.prom", push: { url: nobody } },
        },
      },
      ({ cluster }) => {
        const failing = Object.create(cluster) as typeof cluster;
        failing.patch = (kind, name, ...rest) =>
          name.endsWith("-evidence")
            ? Promise.reject(new ApiError(403, "Forbidden", "configmaps is forbidden"))
            : cluster.patch(kind, name, ...rest);
        return { cluster: failing };
      },
    );
    assert.ok(ended.outcome, story(on, ended));
    const warnings = ended.log.filter(
      ({ event, level }) => level === "warning" && /^(evidence|metrics)$/.test(event),
    );
    assert.deepEqual(
      warnings.map(({ event }) => event),
      ["evidence", "metrics", "metrics"],
    );
    assert.match(warnings[0]?.message ?? "", /ConfigMap kube-system\/patchguard-workers-evidence.*forbidden/);
    assert.match(warnings[2]?.message ?? "", /127\.0\.0\.1:\d+ did not take them: connection refused/);
  });

  it("an observer that cannot even begin to write does not trip the handover", async () => {
    const on = await smallWorld(3);
    const ended = await run(on, {}, () => ({
      requests: {
        counts: () => {
          throw new Error("a bug of ours");
        },
      } as unknown as NonNullable<Job["requests"]>,
    }));
    assert.ok(ended.outcome, story(on, ended));
    assert.ok(
      ended.log.some(({ event, message }) => event === "evidence" && message.includes("a bug of ours")),
    );
  });

  it("the metrics of the stack's other pools go out with it, and those of a pool that is no more do not", async () => {
    const on = await smallWorld(3);
    const textfile = join(folder, "patchguard.prom");
    for (const pool of ["batch", "gone"])
      on.store.create(
        "ConfigMap",
        {
          metadata: { name: `patchguard-${pool}-evidence`, namespace: "kube-system" },
          data: {
            metrics: `# HELP patchguard_evictions_total x\npatchguard_evictions_total{pool="${pool}"} 5\n`,
          },
        },
        "test",
      );
    await run(on, { rollout: { metrics: { textfile } } }, () => ({ pools: ["batch", "workers", "new"] }));
    const text = readFileSync(textfile, "utf8");
    const evictions = text.split("\n").filter((line) => line.startsWith("patchguard_evictions_total{"));
    assert.deepEqual(evictions, [
      'patchguard_evictions_total{stack="shop/prod",pool="workers"} 7',
      'patchguard_evictions_total{pool="batch"} 5',
    ]);
    assert.deepEqual(readdirSync(folder).toSorted(), [
      "patchguard.prom",
      "workers-bbbbbbbb-only.evidence.json",
    ]);
  });

  it("after an engine's death not one more write goes into the cluster", async () => {
    const on = await smallWorld(3);
    const engine = new AbortController();
    const ended = await run(on, {
      signal: engine.signal,
      rollout: { metrics: { textfile: join(folder, "patchguard.prom") } },
      onLine: ({ event }) => {
        if (event === "evict") engine.abort(new Abandoned("the engine is gone"));
      },
    });
    assert.equal(ended.error?.name, "Abandoned", story(on, ended));
    assert.equal(kept(on), undefined);
    assert.equal(written().result, "abandoned");
    assert.ok(existsSync(join(folder, "patchguard.prom")));
  });
});
