import type { Alert } from "../../../../rollout/alerts/alert.ts";
import type { Sink } from "../../../../rollout/alerts/sink.ts";

/** A budget that blocks, as every sink is told. */
export const sample = (change: Partial<Alert> = {}): Alert => ({
  version: 1,
  id: "5f0c1c1e-4f0a-4b53-9c79-9d1a6f3c0001",
  key: "patchguard/shop/prod/workers/blocked/PodDisruptionBudget shop/web",
  status: "firing",
  kind: "blocked",
  severity: "warning",
  summary: "paused before anything was touched: PodDisruptionBudget shop/web: it allows 0 disruptions",
  stack: "shop/prod",
  cluster: "prod",
  pool: "workers",
  run: "1a2b3c4d",
  time: "2026-11-23T10:05:00.000Z",
  since: "2026-11-23T10:00:00.000Z",
  object: { kind: "PodDisruptionBudget", namespace: "shop", name: "web" },
  namespace: "shop",
  rule: "budget-crash-loop",
  needs: 2,
  has: 1,
  fix: "mend the pod <web-1> & run again",
  evidence: { configMap: "kube-system/patchguard-workers-evidence", file: ".patchguard/x.evidence.json" },
  ...change,
});

/** Keeps what it is told. */
export class Listener implements Sink {
  readonly name = "the listener";
  readonly got: Alert[] = [];
  takes(): boolean {
    return true;
  }
  send(alert: Alert): Promise<void> {
    this.got.push(alert);
    return Promise.resolve();
  }
  /** `firing hold`, in the order of arrival. */
  get said(): string[] {
    return this.got.map(({ status, kind }) => `${status} ${kind}`);
  }
}

/** Takes what it is given and never says anything again. */
export const deadSink: Sink = {
  name: "the dead sink",
  takes: () => true,
  send: () => new Promise(() => undefined),
};
