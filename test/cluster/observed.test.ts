/** What a run says of itself, against what the API server recorded of it. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Evidence, evidenceSchema } from "../../rollout/observed/evidence.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { apply, budget, deployment, statefulSet } from "../support/workloads.ts";

const [FROM, TO] = ["aaaaaaaa", "bbbbbbbb"];
const ZONES = ["us-east-1a", "us-east-1b"];

/** A line of the API server's audit log, as far as it matters here. */
interface Audited {
  verb: string;
  requestURI: string;
  userAgent?: string;
  objectRef?: { resource: string; subresource?: string; namespace?: string; name?: string };
  requestObject?: { deleteOptions?: { dryRun?: string[] } };
  responseStatus?: { code: number };
}

describe("the evidence of a handover, on a real API server", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox();
  const folder = mkdtempSync(join(tmpdir(), "patchguard-evidence-"));
  let gateway: Server;
  const pushed: { method: string; path: string; text: string }[] = [];
  let evidence: Evidence;
  let audited: Audited[];

  const nodesOf = (generation: string, color: string) =>
    addFakeNodes(
      sandbox().test.api,
      ZONES.map((zone, i) => ({ name: `${color}-${i + 1}`, pool: "workers", generation, zone })),
    );
  /** What PatchGuard wrote, up to its evidence. */
  const writes = (): Audited[] =>
    readFileSync(sandbox().sandbox.auditLog, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Audited)
      .filter(({ userAgent = "" }) => userAgent.startsWith("patchguard/test"))
      .filter(({ objectRef }) => objectRef !== undefined && !objectRef.name?.endsWith("-evidence"))
      .filter(({ verb }) => ["create", "patch", "delete"].includes(verb));
  const isDryRun = ({ requestURI, requestObject }: Audited): boolean =>
    /[?&]dryRun=All/.test(requestURI) || requestObject?.deleteOptions?.dryRun !== undefined;

  before("a handover with a tight budget and volumes, under observation", async () => {
    const { test, view } = sandbox();
    gateway = createServer((request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        pushed.push({ method: request.method ?? "", path: request.url ?? "", text });
        response.writeHead(pushed.length === 1 ? 503 : 200).end(); // the first time it is not ready yet
      });
    });
    await new Promise<void>((resolve) => gateway.listen(0, "127.0.0.1", resolve));
    await nodesOf(FROM, "blue");
    await apply(
      test.api,
      deployment({ name: "web", replicas: 4, start: "3s", stop: "1s" }),
      budget({ name: "web", app: "web", maxUnavailable: 1 }),
      statefulSet({ name: "db", replicas: 2, storage: "zonal", start: "500ms", stop: "500ms" }),
    );
    await view.ready("web", 4, 60);
    await view.ready("db", 2, 60);
    await view.budgetAllows("default/web", 1);
    await nodesOf(TO, "green");
    await sandbox().watched(async () => {
      await moveNodes({
        kubeconfig: sandbox().sandbox.kubeconfig,
        pool: "workers",
        generation: TO,
        evidence: folder,
        rollout: {
          metrics: {
            textfile: join(folder, "patchguard.prom"),
            push: { url: `http://127.0.0.1:${(gateway.address() as AddressInfo).port}` },
          },
        },
      });
      return { outcome: "finished", stayClosed: { nodes: ["blue-1", "blue-2"] } };
    });
    const [file = ""] = readdirSync(folder).filter((name) => name.endsWith(".evidence.json"));
    evidence = evidenceSchema.parse(JSON.parse(readFileSync(join(folder, file), "utf8")));
    audited = writes();
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
    return new Promise((resolve) => gateway.close(resolve));
  });

  it("counts evictions and refusals as the API server did", () => {
    const evictions = audited.filter(({ objectRef }) => objectRef?.subresource === "eviction");
    const asked = evictions.filter((it) => !isDryRun(it));
    const granted = asked.filter(({ responseStatus }) => responseStatus?.code === 201);
    assert.equal(evidence.evictions, granted.length);
    assert.equal(evidence.evictions, 6);
    assert.equal(evidence.rehearsals, evictions.length - asked.length);
    const refused = Object.values(evidence.refusals).reduce((sum, number) => sum + number, 0);
    assert.equal(refused, asked.length - granted.length);
    assert.deepEqual(
      evidence.pods.map(({ pod }) => pod).toSorted(),
      granted.map(({ objectRef }) => `${objectRef?.namespace}/${objectRef?.name}`).toSorted(),
    );
  });

  it("counts requests as the API server did, writes one by one", () => {
    const counted = new Map<string, number>();
    for (const it of audited) {
      const { resource = "", subresource } = it.objectRef ?? {};
      const what = `${isDryRun(it) ? "dry-run" : it.verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`;
      counted.set(what, (counted.get(what) ?? 0) + 1);
    }
    const said = evidence.requests.kubernetes
      .filter(({ verb }) => ["create", "patch", "delete", "dry-run"].includes(verb))
      .map(({ verb, resource, count }) => [`${verb} ${resource}`, count] as const);
    assert.deepEqual(Object.fromEntries(said), Object.fromEntries([...counted].toSorted()));
    const of = (verb: string, resource: string): number =>
      evidence.requests.kubernetes.find((it) => it.verb === verb && it.resource === resource)?.count ?? 0;
    assert.ok(of("watch", "pods") >= 1 && of("list", "pods") >= 1);
  });

  it("has a time for every step of every pod and node, in their order", () => {
    assert.equal(evidence.result, "succeeded");
    for (const { pod, node, evictedAt, goneAt, replacedAt } of evidence.pods) {
      assert.match(node ?? "", /^blue-/);
      assert.ok(evictedAt && goneAt && replacedAt, pod);
      assert.ok(evictedAt <= goneAt && evictedAt <= replacedAt, pod);
    }
    assert.deepEqual(evidence.nodes.map(({ node }) => node).toSorted(), ["blue-1", "blue-2"]);
    for (const { node, startedAt, movedAt, drainedAt } of evidence.nodes)
      assert.ok(movedAt && drainedAt && startedAt <= movedAt && movedAt <= drainedAt, node);
    assert.equal(
      evidence.nodes.reduce((sum, { pods }) => sum + pods, 0),
      6,
    );
  });

  it("is kept in the cluster, below 100 KiB", async () => {
    const { data } = await sandbox().test.api.request<{ data: Record<string, string> }>(
      "GET",
      "/api/v1/namespaces/kube-system/configmaps/patchguard-workers-evidence",
    );
    assert.ok(Buffer.byteLength(JSON.stringify(data)) < 100 * 1024);
    const summary = evidenceSchema.parse(JSON.parse(data["evidence"] ?? "null"));
    assert.deepEqual(summary.requests, evidence.requests);
    assert.equal(summary.pods.length, 6);
  });

  it("its metrics are in the textfile, and were pushed as soon as the gateway took them", () => {
    const text = readFileSync(join(folder, "patchguard.prom"), "utf8");
    assert.match(text, /^patchguard_evictions_total\{stack="patchguard\/test",pool="workers"\} 6$/m);
    assert.match(text, /^patchguard_node_drain_seconds_count\{.*\} 2$/m);
    assert.match(text, /^patchguard_handover_result\{result="succeeded",.*\} 1$/m);
    assert.equal(pushed.length, 2);
    for (const { method, path, text: body } of pushed) {
      assert.equal(`${method} ${path.split("/").slice(0, 3).join("/")}`, "PUT /metrics/job@base64");
      assert.equal(body, text);
    }
  });
});
