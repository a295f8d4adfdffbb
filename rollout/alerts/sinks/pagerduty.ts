import type { Alert } from "../alert.ts";
import type { Sink } from "../sink.ts";
import { cut, factsFor } from "../words.ts";
import { post } from "./request.ts";
import { BadSecret, type Environment, secretFrom } from "./secret.ts";

/** https://developer.pagerduty.com/docs/events-api-v2/overview/; an account lives in one of the two. */
const ENDPOINTS = {
  us: "https://events.pagerduty.com/v2/enqueue",
  eu: "https://events.eu.pagerduty.com/v2/enqueue",
};
const SUMMARY = 1024;

/** A service of PagerDuty, by the Events API v2: what fires opens an incident, what is resolved closes it. */
export function pagerDuty(
  config: { routingKeyFrom: string; region: keyof typeof ENDPOINTS },
  env: Environment,
  endpoint = ENDPOINTS[config.region],
): Sink {
  const routingKey = secretFrom(env, config.routingKeyFrom);
  if (!/^[A-Za-z0-9]{32}$/.test(routingKey))
    throw new BadSecret(`what ${config.routingKeyFrom} holds is no integration key: 32 letters and digits`);
  return {
    name: "PagerDuty",
    // nobody is called because all went well, or for what nothing ever resolves
    takes: ({ kind }) => kind !== "success" && kind !== "inconclusive",
    async send(alert, signal) {
      const body = JSON.stringify({ routing_key: routingKey, ...eventOf(alert) });
      await post({ to: "PagerDuty", url: endpoint, body, secrets: [routingKey] }, signal);
    },
  };
}

/** An event, but for the key that says whose it is. */
export function eventOf(alert: Alert): object {
  const { status, key, summary, severity, kind, stack, cluster, pool, time, object, fix } = alert;
  if (status === "resolved") return { event_action: "resolve", dedup_key: key };
  return {
    event_action: "trigger",
    dedup_key: key,
    client: "PatchGuard",
    payload: {
      summary: cut(`${stack}, pool ${pool}: ${summary}`, SUMMARY),
      source: cluster ?? stack,
      severity,
      timestamp: time,
      component: `${object.kind} ${object.name}`,
      group: `${stack}/${pool}`,
      class: kind,
      custom_details: {
        ...Object.fromEntries(factsFor(alert)),
        ...(fix !== undefined && { "To go on": fix }),
      },
    },
  };
}
