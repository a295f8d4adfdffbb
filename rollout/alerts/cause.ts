import { createHash } from "node:crypto";
import type { Announcement } from "../alert.ts";
import type { InTheWay } from "../errors.ts";
import type { Finding } from "../finding.ts";
import { nameOf } from "../finding.ts";
import type { Fields } from "../log.ts";
import { EVENT, type EventReason, evidenceName, STATE_NAMESPACE } from "../names.ts";
import type { Cause, Kind, Severity } from "./alert.ts";

/** Texts are short: services refuse long ones, and nobody reads them. Characters. */
const SUMMARY_LIMIT = 1000;
const KEY_LIMIT = 255;

/** Whose alerts they are. */
export interface Owner {
  stack: string;
  pool: string;
  /** File with the evidence on the machine that runs `pulumi`, where there is one. */
  file?: string | undefined;
}

/** What an announcement means to those who are not at the terminal; undefined: nothing that they must know. */
interface Meaning {
  kind: Kind;
  /** It ends what fires under the same key. */
  clears?: true;
}

const MEANINGS: Partial<Record<EventReason, Meaning>> = {
  [EVENT.blocked]: { kind: "blocked" },
  [EVENT.unblocked]: { kind: "blocked", clears: true },
  [EVENT.paused]: { kind: "pause" },
  [EVENT.resumed]: { kind: "pause", clears: true },
  [EVENT.inconclusive]: { kind: "inconclusive" },
  [EVENT.rolledBack]: { kind: "breach" },
  [EVENT.held]: { kind: "hold" },
  [EVENT.succeeded]: { kind: "success" },
};

export function meaningOf({ reason, event }: Announcement): Meaning | undefined {
  if (event === "interrupt") return { kind: "interrupted" };
  return MEANINGS[reason];
}

const SEVERITIES: Record<Kind, Severity> = {
  blocked: "warning",
  pause: "warning",
  breach: "critical",
  inconclusive: "warning",
  rollback: "critical",
  hold: "critical",
  interrupted: "warning",
  failed: "critical",
  success: "info",
};

/** Facts about a cause that stand beside its text. */
export type Facts = Partial<
  Pick<Cause, "namespace" | "rule" | "metric" | "workload" | "pod" | "nodes" | "needs" | "has" | "fix">
>;

/** @param now milliseconds of the clock */
export function causeOf(
  owner: Owner,
  kind: Kind,
  object: Cause["object"],
  summary: string,
  now: number,
  facts: Facts = {},
): Cause {
  const { name, namespace } = object;
  return {
    key: keyOf(owner, kind, kind === "blocked" ? nameOf(object) : undefined),
    kind,
    severity: SEVERITIES[kind],
    summary: short(summary),
    since: new Date(now).toISOString(),
    object: { kind: object.kind, name, ...(namespace !== undefined && { namespace }) },
    ...(namespace !== undefined && { namespace }),
    ...facts,
    evidence: {
      configMap: `${STATE_NAMESPACE}/${evidenceName(owner.pool)}`,
      ...(owner.file !== undefined && { file: owner.file }),
    },
  };
}

/** What it is about: what holds the run up, where that is one object. */
export function objectOf({ fields = {}, object }: Announcement): Cause["object"] {
  return (fields["about"] as InTheWay | undefined)?.object ?? object;
}

/** What an announcement says in its fields: pre-flight's finding, and numbers. */
export function factsOf(news: Announcement): Facts {
  const about = news.fields?.["about"] as InTheWay | undefined;
  const fields: Fields = { ...news.fields, ...about };
  const object = objectOf(news);
  const finding = fields["finding"] as Finding | undefined;
  const { needs, has, workload, node, pod } = fields;
  return {
    ...(finding !== undefined && { rule: finding.rule, fix: finding.fix }),
    ...(about !== undefined && typeof pod === "string" && { pod }),
    ...(object.kind === "Pod" && { pod: `${object.namespace ?? ""}/${object.name}` }),
    ...(object.kind === "Node" && { nodes: [object.name] }),
    ...(typeof workload === "string" && { workload }),
    ...(typeof node === "string" && { nodes: [node] }),
    ...(typeof needs === "number" && { needs }),
    ...(typeof has === "number" && { has }),
  };
}

/** Stable from run to run; what would be too long for a service is told apart by a hash. */
export function keyOf({ stack, pool }: Owner, kind: Kind, what?: string): string {
  const key = ["patchguard", stack, pool, kind, ...(what === undefined ? [] : [what])].join("/");
  if (key.length <= KEY_LIMIT) return key;
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  return `${key.slice(0, KEY_LIMIT - hash.length - 1)}#${hash}`;
}

const short = (text: string): string =>
  text.length > SUMMARY_LIMIT ? `${text.slice(0, SUMMARY_LIMIT - 1)}…` : text;
