import type { ObjectRef } from "../finding.ts";

/** What an alert is about; docs/alerts.md has the same list for people. */
export const KINDS = [
  "blocked",
  "pause",
  "breach",
  "inconclusive",
  "rollback",
  "hold",
  "interrupted",
  "failed",
  "success",
] as const;
export type Kind = (typeof KINDS)[number];

export type Severity = "critical" | "warning" | "info";

/** One message to the outside, the same for every sink. Plain facts; holds no secret. */
export interface Alert {
  /** Layout of this document. */
  version: 1;
  /** Of this message: the same when it is sent again. */
  id: string;
  /** Of the cause: the same from run to run, at most 255 characters. What is `firing` under it is later `resolved` under it. */
  key: string;
  status: "firing" | "resolved";
  kind: Kind;
  severity: Severity;
  /** Object, reason and next step in one or two sentences. */
  summary: string;
  /** `<project>/<stack>` */
  stack: string;
  cluster?: string;
  pool: string;
  /** The run that says so. */
  run: string;
  /** When it was said, in UTC. */
  time: string;
  /** Since when it has been so, in UTC. */
  since: string;
  /** The budget, pod, node or run state that it is about. */
  object: Pick<ObjectRef, "kind" | "namespace" | "name">;
  /** Of the object, or of the workload that suffers. */
  namespace?: string;
  /** Which rule of pre-flight it was. */
  rule?: string;
  metric?: string;
  /** `Deployment shop/web` */
  workload?: string;
  pod?: string;
  nodes?: string[];
  /** What must be (healthy pods of a budget, a metric's limit), and what is. */
  needs?: number;
  has?: number;
  /** What to do, where more is known than the summary says. */
  fix?: string;
  /** Where it is all written down once the run is over. */
  evidence: { configMap: string; file?: string };
}

/** What of an alert is about its cause, and stays when it is resolved. */
export type Cause = Omit<Alert, "version" | "id" | "status" | "run" | "time" | "stack" | "cluster" | "pool">;
