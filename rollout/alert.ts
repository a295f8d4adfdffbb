import type { Clock } from "./clock.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { messageOf } from "./errors.ts";
import { nameOf, type ObjectRef } from "./finding.ts";
import type { Fields, LogEvent, RunLog } from "./log.ts";
import { COMPONENT, type EventReason } from "./names.ts";

/** What an announcement needs of a run. */
export interface Announcer {
  cluster: Cluster;
  clock: Clock;
  log: RunLog;
  /** Who passes announcements on to people elsewhere (rollout/alerts/); returns at once and never throws. */
  alerts?: { hear(news: Announcement): void } | undefined;
}

const API_VERSION: Record<string, string> = {
  Pod: "v1",
  Node: "v1",
  PodDisruptionBudget: "policy/v1",
  StatefulSet: "apps/v1",
  ReplicaSet: "apps/v1",
};

/** The API server refuses Event messages over 1,024 characters. */
const MESSAGE_LIMIT = 1024;

export interface Announcement {
  event: LogEvent;
  reason: EventReason;
  object: ObjectRef;
  /** Object, reason and next step in one or two sentences. */
  message: string;
  warning?: boolean;
  fields?: Fields;
}

/**
 * Tells people: a line on the terminal, an NDJSON line, a Kubernetes Event on the object, and an alert where the config names sinks.
 * Never throws: a lost Event is logged, and must stop neither a pause nor a rollback. Alerts are sent beside the run.
 */
export async function announce(to: Announcer, news: Announcement): Promise<void> {
  const fields = { ...news.fields, object: nameOf(news.object), reason: news.reason };
  if (news.warning) to.log.warning(news.event, news.message, fields);
  else to.log.info(news.event, news.message, fields);
  to.alerts?.hear(news);
  const { kind, name, namespace, uid } = news.object;
  const now = new Date(to.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
  const home = namespace ?? "default"; // events of cluster-wide objects live in default, as kubectl's do
  try {
    await to.cluster.create("Event", {
      metadata: { generateName: `${name}.patchguard-`.slice(-200), namespace: home },
      involvedObject: {
        apiVersion: API_VERSION[kind] ?? "v1",
        kind,
        name,
        ...(namespace && { namespace }),
        ...(uid && { uid }),
      },
      reason: news.reason,
      message: news.message.slice(0, MESSAGE_LIMIT),
      type: news.warning ? "Warning" : "Normal",
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: COMPONENT },
      reportingComponent: COMPONENT,
      reportingInstance: COMPONENT,
    });
  } catch (error) {
    to.log.warning(
      "event-lost",
      `the Kubernetes Event ${news.reason} for ${nameOf(news.object)} was not written: ${messageOf(error)}`,
    );
  }
}
