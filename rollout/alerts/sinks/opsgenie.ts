import { createHash } from "node:crypto";
import { nameOf } from "../../finding.ts";
import type { Alert, Severity } from "../alert.ts";
import type { Sink } from "../sink.ts";
import { cut, factsFor } from "../words.ts";
import { post } from "./request.ts";
import { type Environment, secretFrom } from "./secret.ts";

/** https://docs.opsgenie.com/docs/alert-api; `jira` is its successor, which speaks the same language to the same kind of key. */
const ENDPOINTS = {
  us: "https://api.opsgenie.com/v2/alerts",
  eu: "https://api.eu.opsgenie.com/v2/alerts",
  jira: "https://api.atlassian.com/jsm/ops/integration/v2/alerts",
};
/** Limits of https://docs.opsgenie.com/docs/alert-api#create-alert, characters. */
const MESSAGE = 130;
const DESCRIPTION = 15_000;
const ENTITY = 512;
const SOURCE = 100;
const NOTE = 25_000;
const PRIORITIES: Record<Severity, string> = { critical: "P1", warning: "P3", info: "P5" };

/** An integration of Opsgenie, or of Jira Service Management: what fires creates an alert, what is resolved closes it. */
export function opsgenie(
  config: { apiKeyFrom: string; site: keyof typeof ENDPOINTS },
  env: Environment,
  endpoint = ENDPOINTS[config.site],
): Sink {
  const apiKey = secretFrom(env, config.apiKeyFrom);
  const headers = { authorization: `GenieKey ${apiKey}` };
  return {
    name: "Opsgenie",
    // nobody is called because all went well, or for what nothing ever resolves
    takes: ({ kind }) => kind !== "success" && kind !== "inconclusive",
    async send(alert, signal) {
      const alias = aliasOf(alert.key);
      const url = alert.status === "firing" ? endpoint : `${endpoint}/${alias}/close?identifierType=alias`;
      const body = alert.status === "firing" ? created(alert, alias) : closed(alert);
      await post({ to: "Opsgenie", url, headers, body: JSON.stringify(body), secrets: [apiKey] }, signal);
    },
  };
}

/** The key names objects, with slashes and blanks; the alias becomes part of an address, where not every gateway takes those. */
export const aliasOf = (key: string): string =>
  `patchguard-${createHash("sha256").update(key).digest("hex").slice(0, 32)}`;

function created(alert: Alert, alias: string): object {
  const { stack, cluster, pool, kind, key, severity, summary, object, fix } = alert;
  return {
    message: cut(`PatchGuard ${kind}: pool ${pool} of ${stack}`, MESSAGE),
    alias,
    description: cut(fix === undefined ? summary : `${summary}\n\nTo go on: ${fix}`, DESCRIPTION),
    entity: cut(nameOf(object), ENTITY),
    source: cut(cluster ?? stack, SOURCE),
    priority: PRIORITIES[severity],
    tags: ["patchguard", kind],
    details: { ...Object.fromEntries(factsFor(alert)), Key: key },
  };
}

const closed = ({ cluster, stack, summary }: Alert): object => ({
  source: cut(cluster ?? stack, SOURCE),
  note: cut(summary, NOTE),
});
