import assert from "node:assert/strict";
import { ApiError } from "../../../../../rollout/cluster/cluster.ts";
import { health } from "../../../../../rollout/config/health.ts";
import type { Measured } from "../../../../../rollout/health/measured.ts";
import { SourceError, type Watched, type WatchedPod } from "../../../../../rollout/health/metric.ts";
import { metricsApiSources } from "../../../../../rollout/health/sources/metrics-api.ts";
import { type LogLine, RunLog } from "../../../../../rollout/log.ts";
import { systemClock } from "../../../../../rollout/clock.ts";

const GiB = 2 ** 30;
const podOf = (name: string, limits: WatchedPod["limits"]): WatchedPod => ({
  name,
  uid: name,
  node: "n",
  generation: "green",
  limits,
});
const WEB: Watched = {
  namespace: "shop",
  kind: "Deployment",
  name: "web",
  pods: [podOf("web-1", { cpu: 2, memory: GiB }), podOf("web-2", {})],
};
const podMetrics = (name: string, namespace: string, ...usage: { cpu: string; memory: string }[]) => ({
  metadata: { name, namespace },
  timestamp: "2026-11-02T03:00:10Z",
  window: "15s",
  containers: usage.map((it, at) => ({ name: `c${at}`, usage: it })),
});
const ITEMS = {
  items: [
    podMetrics("web-1", "shop", { cpu: "500m", memory: "256Mi" }, { cpu: "500000000n", memory: "256Mi" }),
    podMetrics("web-2", "shop", { cpu: "250m", memory: "1Gi" }),
    podMetrics("other", "shop", { cpu: "9", memory: "9Gi" }),
  ],
};

describe("the Metrics API as a source", () => {
  const lines: LogLine[] = [];
  const log = new RunLog(systemClock, [(line) => lines.push(line)]);
  const paths: string[] = [];
  const served = (answer: () => unknown) => ({
    read: (path: string): Promise<unknown> => {
      paths.push(path);
      return Promise.resolve().then(() => (path.endsWith("v1beta1") ? {} : answer()));
    },
  });
  const refusing = (status: number) => ({
    read: (): Promise<unknown> => Promise.reject(new ApiError(status, "X", "no")),
  });
  const config = (more: object = {}) => health.parse({ windowSeconds: 300, ...more });
  const ask = async ({ sources, metrics }: Measured, name: string, to = 1) => {
    const metric = metrics.find((it) => it.name === name);
    const [source] = sources;
    assert.ok(source && metric);
    return source.read({ metric, workloads: [WEB], from: 0, to }, new AbortController().signal);
  };
  beforeEach(() => {
    lines.splice(0);
    paths.splice(0);
  });

  it("gives pods with a limit their share of it, others what they use, with the time of the measurement", async () => {
    const measured = await metricsApiSources(
      config(),
      served(() => ITEMS),
      log,
    );
    const level = async (name: string): Promise<unknown[]> =>
      (await ask(measured, name)).map(({ subject, value }) => [subject.of === "pod" && subject.name, value]);
    assert.deepEqual(await level("cpu"), [["web-1", { level: 0.5 }]]);
    assert.deepEqual(await level("memory"), [["web-1", { level: 0.5 }]]);
    assert.deepEqual(await level("cpu without a limit"), [["web-2", { level: 0.25 }]]);
    assert.deepEqual(await level("memory without a limit"), [["web-2", { level: GiB }]]);
    const [reading] = await ask(measured, "cpu");
    assert.equal(reading?.at, Date.parse("2026-11-02T03:00:10Z"));
  });

  it("asks once for all its metrics, for one namespace where there is only one", async () => {
    const measured = await metricsApiSources(
      config(),
      served(() => ITEMS),
      log,
    );
    paths.splice(0);
    await Promise.all(measured.metrics.map(({ name }) => ask(measured, name, 2)));
    assert.deepEqual(paths, ["/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"]);
    await ask(measured, "cpu", 3);
    assert.equal(paths.length, 2);
  });

  it("is left out, and that is told, where it is not served or the window is too short", async () => {
    for (const [given, cluster, message] of [
      [config(), refusing(404), /serves no metrics.k8s.io/],
      [
        config({ windowSeconds: 30 }),
        served(() => ITEMS),
        /needs windows of 60 s or more, and rollout.health.windowSeconds is 30/,
      ],
    ] as const) {
      lines.splice(0);
      assert.deepEqual((await metricsApiSources(given, cluster, log)).metrics, []);
      assert.match(lines[0]?.message ?? "", message);
    }
    assert.deepEqual(
      (await metricsApiSources(config({ metricsApi: "off" }), refusing(500), log)).metrics,
      [],
    );
  });

  it("is asked all the same where it must be there, and says what is wrong", async () => {
    const measured = await metricsApiSources(config({ metricsApi: "required" }), refusing(404), log);
    await assert.rejects(
      () => ask(measured, "cpu"),
      (error: unknown) =>
        error instanceof SourceError && !error.passing && /kubectl get apiservice/.test(error.message),
    );
    const forbidden = await metricsApiSources(config({ metricsApi: "required" }), refusing(403), log);
    await assert.rejects(() => ask(forbidden, "cpu"), /Allow `list` on pods of metrics.k8s.io/);
  });

  it("takes an answer of another kind for none", async () => {
    const measured = await metricsApiSources(
      config(),
      served(() => ({ items: [{}] })),
      log,
    );
    await assert.rejects(() => ask(measured, "cpu"), /no list of PodMetrics/);
  });
});
