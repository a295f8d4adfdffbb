/** The rehearsal of evictions against a real admission webhook, asked by a real API server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { certificatePaths } from "../../sandbox/control-plane/certificates.ts";
import { Blocked } from "../../rollout/errors.ts";
import type { LogLine } from "../../rollout/log.ts";
import { moveNodes } from "../support/handover.ts";
import { addFakeNodes } from "../support/nodes.ts";
import { useSandbox } from "../support/sandbox.ts";
import { apply, deployment } from "../support/workloads.ts";

const NAME = "guard.example.com";
const PATH = `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations`;

interface Review {
  request: { uid: string; dryRun: boolean; name: string };
}

describe("every eviction is rehearsed", function () {
  this.timeout(4 * 60_000);
  const sandbox = useSandbox();
  let server: Server | undefined;
  let allowed = false;
  let asked: { name: string; dryRun: boolean }[] = [];

  before("a pod on blue, and a webhook that guards evictions", async () => {
    const { test, view, sandbox: world } = sandbox();
    const node = (name: string, generation: string): Parameters<typeof addFakeNodes>[1][number] => ({
      name,
      pool: "workers",
      generation,
    });
    await addFakeNodes(test.api, [node("blue-1", "aaaaaaaa")]);
    await apply(test.api, deployment({ name: "web", replicas: 2, start: "200ms", stop: "200ms" }));
    await view.ready("web", 2); // before there is a green node that they could start on
    await addFakeNodes(test.api, [node("green-1", "bbbbbbbb")]);
    const paths = certificatePaths(world.dir);
    server = createServer(
      { key: readFileSync(paths.serverKey), cert: readFileSync(paths.serverCert) },
      (request, response) => {
        let text = "";
        request.on("data", (chunk: Buffer) => (text += chunk.toString()));
        request.on("end", () => {
          const { uid, dryRun, name } = (JSON.parse(text) as Review).request;
          asked.push({ name, dryRun });
          const status = { message: "a backup is running" };
          response.setHeader("content-type", "application/json");
          response.end(
            JSON.stringify({
              apiVersion: "admission.k8s.io/v1",
              kind: "AdmissionReview",
              response: { uid, allowed, ...(allowed ? {} : { status }) },
            }),
          );
        });
      },
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await test.api.request("POST", PATH, {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: NAME },
      webhooks: [
        {
          name: NAME,
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: readFileSync(paths.ca).toString("base64"),
          },
          rules: [
            { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods/eviction"] },
          ],
          failurePolicy: "Fail",
          sideEffects: "None",
          timeoutSeconds: 5,
          admissionReviewVersions: ["v1"],
        },
      ],
    });
    // the API server reads webhooks by a watch of its own: begin when it asks this one
    await view.eventually(
      async () => {
        const [pod] = view.podsOf("web");
        if (pod !== undefined)
          await sandbox()
            .test.evict(pod, { dryRun: ["All"] })
            .catch(() => undefined);
        return asked.length > 0;
      },
      { timeoutSeconds: 60, describe: "the API server asks the webhook" },
    );
  });
  after(async () => {
    await sandbox()
      .test.api.request("DELETE", `${PATH}/${NAME}`)
      .catch(() => undefined);
    server?.closeAllConnections();
    server?.close();
  });

  const move = (timeoutSeconds: number, sink: (line: LogLine) => void = () => undefined): Promise<unknown> =>
    moveNodes({
      kubeconfig: sandbox().sandbox.kubeconfig,
      pool: "workers",
      generation: "bbbbbbbb",
      rollout: { preflight: { timeoutSeconds } },
      sink,
    });
  const untouched = (): void => {
    const { view } = sandbox();
    assert.ok(view.podsOf("web").every(({ spec }) => spec?.nodeName === "blue-1"));
    assert.deepEqual(
      view.nodes().filter(({ spec }) => spec?.unschedulable === true || (spec?.taints ?? []).length > 0),
      [],
    );
  };

  it("a webhook that denies blocks by its name and words, before anything is touched", async () => {
    asked = [];
    await assert.rejects(move(0), (error: unknown) => {
      assert.ok(error instanceof Blocked);
      assert.match(
        error.message,
        /AdmissionWebhook guard\.example\.com: a dry-run eviction of 2 pods \(default\/web-\S+, default\/web-\S+\) was denied: a backup is running\. To go on:/,
      );
      return true;
    });
    assert.ok(asked.length >= 2 && asked.every(({ dryRun }) => dryRun), JSON.stringify(asked));
    untouched();
  });

  it("one that does not answer blocks, too", async () => {
    const [closed] = [server];
    const { port } = closed?.address() as AddressInfo;
    closed?.closeAllConnections();
    await new Promise((done) => closed?.close(done));
    await assert.rejects(
      move(0),
      /AdmissionWebhook guard\.example\.com: it does not answer, .*connection refused/,
    );
    untouched();
    closed?.listen(port, "127.0.0.1");
    await once(closed as Server, "listening");
  });

  it("when it allows, the handover goes on, and each pod is evicted once", async () => {
    asked = [];
    const events: string[] = [];
    await move(120, ({ event }) => {
      events.push(event);
      if (event === "blocked") allowed = true;
    });
    assert.deepEqual(
      events.filter((event) => event === "blocked" || event === "unblocked"),
      ["blocked", "unblocked"],
    );
    assert.equal(asked.filter(({ dryRun }) => !dryRun).length, 2);
    assert.ok(
      sandbox()
        .view.podsOf("web")
        .every(({ spec }) => spec?.nodeName === "green-1"),
    );
  });
});
