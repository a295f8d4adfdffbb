/** What operators do, and what they are told, on a real API server: with the commands, kubectl, and a webhook that listens. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Alert } from "../../rollout/alerts/alert.ts";
import { Aborted, Hold } from "../../rollout/errors.ts";
import type { Outcome } from "../../rollout/handover.ts";
import type { LogLine } from "../../rollout/log.ts";
import { eventually } from "../support/cluster-view.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { apply, budget, deployment } from "../support/workloads.ts";
import { Receiver } from "../unit/rollout/alerts/receiver.ts";

const REPOSITORY = join(import.meta.dirname, "../..");
const LEASE = ["lease", "-n", "kube-system", "patchguard"];
const PDB = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web";
const KEY = Buffer.from("0123456789abcdef0123456789abcdef");
const QUICK = { lease: { durationSeconds: 6, renewSeconds: 1 } };

interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

describe("operators and a handover on a real API server", function () {
  this.timeout(5 * 60_000);
  const sandbox = useSandbox();
  const folder = mkdtempSync(join(tmpdir(), "patchguard-controls-"));
  const stackFile = join(folder, "Pulumi.test.yaml");
  let [from, to] = ["blue", "green"] as [string, string];
  let lines: LogLine[] = [];

  after(() => rmSync(folder, { recursive: true, force: true }));
  afterEach("what the run said", function () {
    if (this.currentTest?.state === "failed")
      for (const { time, event, message } of lines) console.log(`    ${time} ${event}: ${message}`);
  });

  const ran = (file: string, args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const { env } = sandbox().sandbox;
      execFile(file, args, { cwd: REPOSITORY, env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
      });
    });
  /** As `npm run <action> -- --stack test` does. */
  const command = (action: string, ...more: string[]): Promise<Ran> =>
    ran(process.execPath, [
      join(REPOSITORY, "rollout/commands/control.ts"),
      action,
      ...["--stack", "test", "--config-file", stackFile, ...more],
    ]);
  const kubectl = async (...args: string[]): Promise<string> => {
    const { kubeconfig, dir } = sandbox().sandbox;
    const { code, stdout, stderr } = await ran(join(dir, "bin/kubectl"), [
      ...["--kubeconfig", kubeconfig, "--context", "sandbox"],
      ...args,
    ]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const byHand = (wish: string): Promise<string> =>
    kubectl("annotate", ...LEASE, `patchguard.dev/control=${wish}`);
  /** The answer in the Lease. */
  const seen = async (): Promise<string> =>
    kubectl("get", ...LEASE, "-o", "jsonpath={.metadata.annotations.patchguard\\.dev/control-seen}");

  /** Runs a handover to the other nodes; when it has succeeded, the roles are exchanged for the next test. */
  async function move(rollout: object = {}, env: Record<string, string> = {}): Promise<Outcome> {
    lines = [];
    const outcome = await moveNodes({
      kubeconfig: sandbox().sandbox.kubeconfig,
      pool: "workers",
      generation: GENERATIONS[to] ?? "",
      rollout: { ...QUICK, ...rollout },
      env,
      sink: (line) => lines.push(line),
    });
    [from, to] = [to, from];
    return outcome;
  }
  const said = (event: string, text: RegExp, times = 1): Promise<LogLine> =>
    eventually(() => lines.filter((line) => line.event === event && text.test(line.message))[times - 1], {
      timeoutSeconds: 60,
      describe: `the run says ${event}: ${text}`,
    });
  const evictions = (): number => lines.filter(({ event }) => event === "evict").length;

  /** The budget lets nobody go: a drain in hand stands still until `opened`. */
  const spent = (): Promise<unknown> =>
    sandbox().test.api.request("PATCH", PDB, { spec: { maxUnavailable: 0 } });
  const opened = (): Promise<unknown> =>
    sandbox().test.api.request("PATCH", PDB, { spec: { maxUnavailable: 1 } });

  const closed = (): string[] =>
    sandbox()
      .view.nodes()
      .filter(({ spec }) => spec?.unschedulable === true)
      .map(({ metadata }) => metadata.name)
      .sort();
  const webPods = (): string[] =>
    sandbox()
      .view.podsOf("web")
      .map(({ metadata: { uid } }) => uid)
      .sort();

  /** The cloud would have deleted these nodes after the last handover; here they serve again, as if new. */
  async function reopenByHand(colour: string): Promise<void> {
    const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": null };
    const annotations = {
      "patchguard.dev/closed-by": null,
      "cluster-autoscaler.kubernetes.io/scale-down-disabled": null,
    };
    const open = { metadata: { labels, annotations }, spec: { unschedulable: null, taints: null } };
    for (const name of namesOf(colour))
      await sandbox().test.api.request("PATCH", `/api/v1/nodes/${name}`, open);
  }

  before("two generations, pods on one", async () => {
    const { test, view, sandbox: box } = sandbox();
    const example = readFileSync(join(REPOSITORY, "Pulumi.example-self-managed.yaml"), "utf8");
    writeFileSync(
      stackFile,
      example
        .replace(/kubeconfig: .*/, `kubeconfig: ${box.kubeconfig}`)
        .replace(/context: .*/, "context: sandbox"),
    );
    const nodes = (colour: string) =>
      namesOf(colour).map((name, i) => ({
        name,
        pool: "workers",
        generation: GENERATIONS[colour] ?? "",
        zone: `us-east-1${"ab"[i]}`,
      }));
    await addFakeNodes(test.api, nodes("blue"));
    await apply(
      test.api,
      deployment({ name: "web", replicas: 4, start: "500ms", stop: "500ms" }),
      budget({ name: "web", app: "web", maxUnavailable: 1 }),
    );
    await view.ready("web", 4, 60);
    await addFakeNodes(test.api, nodes("green"));
    await view.budgetAllows("default/web", 1);
  });

  it("without a handover each command says so, and nothing is written", async () => {
    for (const action of ["pause", "resume", "abort", "skip-window"]) {
      const { code, stdout, stderr } = await command(action);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(
        stderr,
        /^control: no handover runs on cluster factory: nobody holds the Lease kube-system\/patchguard\.\n$/,
      );
    }
    const unknown = await command("stop");
    assert.equal(unknown.code, 1);
    assert.match(
      unknown.stderr,
      /^control: usage: npm run pause\|resume\|abort\|skip-window -- --stack <stack>/,
    );
  });

  it("a hold reaches the webhook, signed, with the budget by name; the next run's success resolves it", async () => {
    const { view, watched } = sandbox();
    const receiver = new Receiver();
    const address = await receiver.open();
    const env = {
      PATCHGUARD_WEBHOOK_URL: `${address}/hook`,
      PATCHGUARD_WEBHOOK_SECRET: `whsec_${KEY.toString("base64")}`,
    };
    const webhook = { urlFrom: "PATCHGUARD_WEBHOOK_URL", secretFrom: "PATCHGUARD_WEBHOOK_SECRET" };
    try {
      await watched(async (watcher) => {
        const held = assert.rejects(
          move({ alerts: { webhook }, drain: { budgetTimeoutSeconds: 8 } }, env),
          (error) =>
            error instanceof Hold && /PodDisruptionBudget default\/web allows no/.test(error.message),
        );
        await said("evict", /./);
        await spent();
        await held;
        await watcher.expectReopened();
        watcher.held();
        await opened();
        await view.ready("web", 4, 60);
        await view.budgetAllows("default/web", 1);
        await move({ alerts: { webhook } }, env);
        return { outcome: "finished", stayClosed: { nodes: namesOf("blue") } };
      });
      for (const { headers, body } of receiver.got) {
        const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
        const signature = `v1,${createHmac("sha256", KEY).update(signed).digest("base64")}`;
        assert.equal(headers["webhook-signature"], signature);
      }
      const alerts = receiver.got.map(({ json }) => json as unknown as Alert);
      assert.deepEqual(
        alerts.map(({ status, kind }) => `${status} ${kind}`),
        ["firing hold", "resolved hold", "resolved success"],
      );
      const [fired, resolved] = alerts as [Alert, Alert];
      assert.deepEqual(fired.object, { kind: "PodDisruptionBudget", namespace: "default", name: "web" });
      assert.deepEqual([fired.namespace, fired.needs, fired.has], ["default", 4, 4]);
      assert.match(fired.pod ?? "", /^default\/web-/);
      assert.match(fired.nodes?.join() ?? "", /^blue-\d$/);
      assert.match(fired.summary, /PodDisruptionBudget default\/web allows no disruption now/);
      assert.deepEqual([resolved.key, resolved.since], [fired.key, fired.since]);
      const events = await kubectl(
        ...[
          "get",
          "events",
          "-n",
          "kube-system",
          "--field-selector",
          "involvedObject.name=patchguard-workers",
        ],
        ...["-o", "jsonpath={range .items[*]}{.type} {.reason}: {.message}{'\\n'}{end}"],
      );
      assert.match(events, /^Warning PatchGuardHeld: handover of pool workers holds: .*default\/web/m);
      assert.match(events, /^Normal PatchGuardSucceeded: pool workers is on /m);
      const left = await kubectl(
        "get",
        "cm",
        "-n",
        "kube-system",
        "patchguard-workers-alerts",
        "-o",
        "jsonpath={.data.open}",
      );
      assert.deepEqual(JSON.parse(left), { version: 1, alerts: [] });
      assert.ok(!JSON.stringify(lines).includes(address.slice("http://".length)), "no address in the log");
    } finally {
      await receiver.close();
    }
  });

  it("pause in mid-drain: the node in hand is finished, then nothing is evicted until somebody resumes", async () => {
    const { view, watched } = sandbox();
    await reopenByHand("blue");
    await view.budgetAllows("default/web", 1);
    await watched(async () => {
      const moving = move();
      moving.catch(() => undefined); // awaited below
      await said("evict", /./);
      await spent(); // the drain cannot be over before the command is heard
      const stranger = await command("pause", "--stack", "other");
      assert.equal(stranger.code, 1);
      assert.match(
        stranger.stderr,
        /no handover of stack other runs on cluster factory: .* is held by patchguard\/test/,
      );
      const paused = await command("pause", "--reason", "release freeze");
      assert.equal(paused.code, 0, paused.stderr);
      assert.match(paused.stdout, /^pause: no further node is begun; what is in hand is finished first/);
      await opened();
      const { message } = await said("pause", /is paused/);
      assert.match(message, /asked for by .*@.*: release freeze/);
      const [finished, ...others] = lines.filter(({ event }) => event === "node-drained");
      assert.deepEqual(others, []);
      assert.deepEqual(closed(), [finished?.["node"]], "what is finished stays closed");
      const [before, pods] = [evictions(), webPods()];
      await byHand("stop!");
      await eventually(async () => /holds none of pause, resume, abort, skip-window/.test(await seen()), {
        timeoutSeconds: 30,
        describe: "an unknown wish is answered",
      });
      const skip = await command("skip-window");
      assert.deepEqual([skip.code, skip.stderr], [1, "skip-window: refused: no health window is open\n"]);
      assert.deepEqual([evictions(), webPods()], [before, pods], "nothing is evicted while it rests");
      const resumed = await command("resume");
      assert.deepEqual([resumed.code, resumed.stdout], [0, "resume: the handover goes on\n"]);
      await moving;
      assert.ok(evictions() > before);
      return { outcome: "finished", stayClosed: { nodes: namesOf("green") } };
    });
  });

  it("skip-window ends the window in hand; an abort by kubectl annotate rolls back", async () => {
    const { view, watched } = sandbox();
    await reopenByHand("green");
    await view.budgetAllows("default/web", 1);
    await watched(async (watcher) => {
      const aborted = assert.rejects(move({ health: { windowSeconds: 600 } }), (error) => {
        assert.ok(error instanceof Aborted, String(error));
        assert.match(error.message, /aborted by an operator, by annotation: release freeze/);
        return true;
      });
      await said("health", /window of/);
      const skipped = await command("skip-window");
      assert.equal(skipped.code, 0, skipped.stderr);
      assert.match(skipped.stdout, /^skip-window: the health window after .* ends as passed\n$/);
      await said("health", /was skipped, asked for by/);
      await said("health", /window of/, 2);
      const before = evictions();
      await byHand("abort: release freeze");
      await aborted;
      assert.equal(evictions(), before);
      await watcher.expectReopened({ nodes: namesOf("green") });
      await view.ready("web", 4, 60);
    });
    assert.deepEqual(closed(), [], "blue serves again");
    const { obeyed, action } = JSON.parse((await seen()) || "{}") as { obeyed?: boolean; action?: string };
    assert.deepEqual([action, obeyed], ["abort", true]);
  });

  it("with the Lease gone a command says that no handover runs", async () => {
    await kubectl("delete", ...LEASE);
    const { code, stderr } = await command("abort");
    assert.equal(code, 1);
    assert.match(stderr, /^control: no handover runs on cluster factory: nobody holds the Lease/);
  });
});

const GENERATIONS: Record<string, string> = { blue: "aaaaaaaa", green: "bbbbbbbb" };
const namesOf = (colour: string): string[] => [`${colour}-1`, `${colour}-2`];
