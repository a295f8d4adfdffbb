import assert from "node:assert/strict";
import type { Cluster, EvictionResult } from "../../../../rollout/cluster/cluster.ts";
import { sentence } from "../../../../rollout/finding.ts";
import { rehearse } from "../../../../rollout/preflight/rehearse.ts";
import { pod } from "../builders.ts";

/** A cluster of which only the Eviction API is there, and a clock that sleeps in no time. */
function scene(answer: (name: string, asked: number) => EvictionResult) {
  const asked: { name: string; at: number; dryRun: boolean | undefined }[] = [];
  let now = 0;
  const clock = {
    now: () => now,
    async sleep(milliseconds: number) {
      const until = now + milliseconds; // sleepers sleep side by side
      await Promise.resolve();
      now = Math.max(now, until);
    },
  };
  const cluster = {
    async evict({ name }: { name: string }, options?: { dryRun?: boolean }) {
      const times = asked.filter((it) => it.name === name).length;
      asked.push({ name, at: now, dryRun: options?.dryRun });
      return answer(name, times);
    },
  } as unknown as Cluster;
  return { asked, job: { cluster, clock, signal: new AbortController().signal } };
}

const refused = (message: string, status = 400): EvictionResult => ({ outcome: "refused", status, message });
const said = async (answer: EvictionResult, names = ["web-1"]): Promise<string[]> => {
  const found = await rehearse(
    scene(() => answer).job,
    names.map((name) => pod(name)),
  );
  return found.map((it) => `${it.severity}: ${sentence(it)}`);
};

describe("the rehearsal of every eviction", () => {
  it("says nothing of a pod that may go, is gone, or waits for its budget or namespace", async () => {
    for (const outcome of [
      { outcome: "evicted" },
      { outcome: "gone" },
      { outcome: "budget", budget: "web", message: "needs 2" },
      { outcome: "budget-stale", message: "still being processed" },
      { outcome: "several-budgets", message: "more than one" },
      { outcome: "namespace-terminating", message: "terminating" },
    ] satisfies EvictionResult[])
      assert.deepEqual(await said(outcome), []);
  });

  const table: [what: string, answer: EvictionResult, says: string][] = [
    [
      "a webhook that denies",
      refused('admission webhook "guard.example.com" denied the request: backup is running', 403),
      "block: AdmissionWebhook guard.example.com: a dry-run eviction of pod (shop/web-1) was denied: backup is running. To go on: do what its message asks, or ask the owner of guard.example.com to let these pods go",
    ],
    [
      "a webhook that denies with 429 and without a word",
      {
        outcome: "throttled",
        message: 'admission webhook "guard.example.com" denied the request without explanation',
      },
      "block: AdmissionWebhook guard.example.com: a dry-run eviction of pod (shop/web-1) was denied: without a reason. To go on: do what its message asks, or ask the owner of guard.example.com to let these pods go",
    ],
    [
      "a policy that denies",
      refused(
        "pods \"web-1\" is forbidden: ValidatingAdmissionPolicy 'no-evictions' with binding 'all' denied request: freeze until Monday",
        422,
      ),
      "block: AdmissionWebhook no-evictions: a dry-run eviction of pod (shop/web-1) was denied: freeze until Monday. To go on: do what its message asks, or ask the owner of no-evictions to let these pods go",
    ],
    [
      "a webhook that does not answer",
      refused(
        'Internal error occurred: failed calling webhook "guard.example.com": no endpoints available for service "guard"',
        500,
      ),
      'block: AdmissionWebhook guard.example.com: it does not answer, and the API server refuses to evict pod (shop/web-1) without it: no endpoints available for service "guard". To go on: bring its service back; `kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -o wide` shows where guard.example.com runs',
    ],
    [
      "a webhook with side effects",
      refused('admission webhook "audit.example.com" does not support dry run'),
      "warning: AdmissionWebhook audit.example.com: it has side effects and cannot be asked by a dry run, so whether it lets pod (shop/web-1) go is not known before the drain. To go on: declare `sideEffects: None` or `NoneOnDryRun` on audit.example.com if that is true",
    ],
    [
      "an operator that moves the pod itself",
      refused(
        'admission webhook "strimzi-drain-cleaner.strimzi.io" denied the request: The pod will be rolled by the Strimzi Cluster Operator',
      ),
      "warning: AdmissionWebhook strimzi-drain-cleaner.strimzi.io: it refuses to evict pod (shop/web-1) on purpose: its operator moves them by itself (The pod will be rolled by the Strimzi Cluster Operator). To go on: nothing: the drain asks again until the operator has moved them; see that the operator runs",
    ],
    [
      "a missing right",
      refused(
        'pods "web-1" is forbidden: User "ci" cannot create resource "pods/eviction" in API group "" in the namespace "shop"',
        403,
      ),
      'block: Pod shop/web-1: PatchGuard may not evict: pods "web-1" is forbidden: User "ci" cannot create resource "pods/eviction" in API group "" in the namespace "shop". To go on: give it `create` on pods/eviction (docs/permissions.md)',
    ],
    [
      "a server that gives no answer",
      refused("socket hang up", 0),
      "warning: Pod shop/web-1: a dry-run eviction of pod (shop/web-1) got no answer: socket hang up. To go on: look at the API server's health; the drain asks again",
    ],
  ];
  for (const [what, answer, says] of table)
    it(`tells ${what}`, async () => assert.deepEqual(await said(answer), [says]));

  it("makes one finding of what one webhook says of many pods", async () => {
    const names = ["a", "b", "c", "d", "e"];
    assert.deepEqual(
      (await said(refused('admission webhook "guard.example.com" denied the request: no'), names)).map(
        (text) => text.slice(0, text.indexOf(" was denied")),
      ),
      [
        "block: AdmissionWebhook guard.example.com: a dry-run eviction of 5 pods (shop/a, shop/b, shop/c and 2 more)",
      ],
    );
  });

  it("asks again when the server has no time, as late as it says", async () => {
    const { asked, job } = scene((_, times) =>
      times === 0 ? { outcome: "throttled", message: "busy", retryAfterSeconds: 7 } : { outcome: "evicted" },
    );
    assert.deepEqual(await rehearse(job, [pod("web-1")]), []);
    assert.deepEqual(
      asked.map(({ at }) => at),
      [0, 7000],
    );
  });

  it("only ever asks for dry runs, at most twenty a second", async () => {
    const { asked, job } = scene(() => ({ outcome: "evicted" }));
    await rehearse(
      job,
      Array.from({ length: 100 }, (_, at) => pod(`web-${at}`)),
    );
    assert.equal(asked.length, 100);
    assert.ok(asked.every(({ dryRun }) => dryRun === true));
    // a hundred at twenty a second: the last one no sooner than after 99 gaps of 50 ms
    assert.ok((asked.at(-1)?.at ?? 0) >= 4950, `${asked.at(-1)?.at} ms`);
  });

  it("stops when the run is told to stop", async () => {
    const stop = new AbortController();
    const { job } = scene(() => {
      stop.abort(new Error("enough"));
      return { outcome: "evicted" };
    });
    await assert.rejects(rehearse({ ...job, signal: stop.signal }, [pod("a"), pod("b")]), /enough/);
  });
  it("ends although every answer takes long: who could not be asked in time is not judged", async () => {
    const { asked, job } = scene(() => ({ outcome: "evicted" }));
    const { cluster, clock } = job;
    const evict: Cluster["evict"] = async (...args) => {
      await clock.sleep(9000);
      return cluster.evict(...args);
    };
    const names = Array.from({ length: 400 }, (_, n) => `web-${n}`);
    const found = await rehearse(
      { ...job, cluster: { evict } as Cluster },
      names.map((name) => pod(name)),
    );
    assert.ok(asked.length < 400);
    assert.ok(job.clock.now() < 160_000, `it took ${job.clock.now()} ms`);
    assert.equal(found.length, 1);
    assert.match(
      found.map(sentence).join(),
      /^AdmissionWebhook|^Pod .* a dry-run eviction of \d+ pods \(.* and \d+ more\) got no answer: it was not asked within the 140 s/,
    );
    assert.equal(found[0]?.severity, "warning");
  });
});
