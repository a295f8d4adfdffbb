/** An admission webhook over evictions, served by the test and asked by the real API server. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { certificatePaths } from "../../sandbox/control-plane/certificates.ts";
import type { TestSandbox } from "./sandbox.ts";

const PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

export interface Asked {
  /** The pod's. */
  name: string;
  dryRun: boolean;
}

/** What it says to a request: nothing against it, or why not. `code` is the HTTP status to refuse with; default 400. */
export type Verdict = { allowed: true } | { allowed: false; message: string; code?: number };

export class EvictionWebhook {
  readonly asked: Asked[] = [];
  /** May be exchanged at any time. */
  verdict: (asked: Asked) => Verdict = () => ({ allowed: true });
  private readonly box: TestSandbox;
  private readonly name: string;
  private readonly server: Server;

  private constructor(box: TestSandbox, name: string) {
    this.box = box;
    this.name = name;
    const paths = certificatePaths(box.sandbox.dir);
    const files = { key: readFileSync(paths.serverKey), cert: readFileSync(paths.serverCert) };
    this.server = createServer(files, (request, response) => {
      let text = "";
      request.on("data", (chunk: Buffer) => (text += chunk.toString()));
      request.on("end", () => {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify(this.answer(text)));
      });
    });
  }

  private answer(text: string): object {
    const { request } = JSON.parse(text) as { request: Asked & { uid: string } };
    const asked = { name: request.name, dryRun: request.dryRun };
    this.asked.push(asked);
    const verdict = this.verdict(asked);
    const { allowed } = verdict;
    const status = allowed
      ? {}
      : { status: { message: verdict.message, ...(verdict.code && { code: verdict.code }) } };
    return {
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      response: { uid: request.uid, allowed, ...status },
    };
  }

  /** Over the evictions in one namespace. It is asked about every eviction from here on: the API server has been seen to do so. */
  static async over(box: TestSandbox, name: string, namespace: string): Promise<EvictionWebhook> {
    const webhook = new EvictionWebhook(box, name);
    webhook.server.listen(0, "127.0.0.1");
    await once(webhook.server, "listening");
    await webhook.register(namespace);
    return webhook;
  }

  private async register(namespace: string): Promise<void> {
    const { test, view, sandbox } = this.box;
    const { port } = this.server.address() as AddressInfo;
    await test.api.request("POST", PATH, {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: this.name },
      webhooks: [
        {
          name: this.name,
          clientConfig: {
            url: `https://127.0.0.1:${port}/`,
            caBundle: readFileSync(certificatePaths(sandbox.dir).ca).toString("base64"),
          },
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
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
    // the API server reads webhooks by a watch of its own
    await view.eventually(
      () => {
        const pod = view.pods().find(({ metadata }) => metadata.namespace === namespace);
        if (pod !== undefined) void test.evict(pod, { dryRun: ["All"] }).catch(() => undefined);
        return this.asked.length > 0;
      },
      { timeoutSeconds: 60, describe: `the API server asks webhook ${this.name}` },
    );
    this.asked.length = 0;
  }

  async remove(): Promise<void> {
    await this.box.test.api.request("DELETE", `${PATH}/${this.name}`).catch(() => undefined);
    this.server.closeAllConnections();
    this.server.close();
  }
}
