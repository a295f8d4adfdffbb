import type { AlertsConfig } from "../../config/alerts.ts";
import type { RunLog } from "../../log.ts";
import type { Sink } from "../sink.ts";
import { BadSecret, type Environment } from "./secret.ts";
import { opsgenie } from "./opsgenie.ts";
import { pagerDuty } from "./pagerduty.ts";
import { slack } from "./slack.ts";
import { teams } from "./teams.ts";
import { webhook } from "./webhook.ts";

export type { Environment } from "./secret.ts";

/**
 * The sinks that the config names, with their secrets from the environment. One that lacks its secret is told at once and left out: an
 * urgent patch does not wait for somebody's chat.
 */
export function sinksOf(config: AlertsConfig, env: Environment, log: RunLog): Sink[] {
  const made = <T>(name: string, section: T | undefined, make: (of: T, env: Environment) => Sink): Sink[] => {
    if (section === undefined) return [];
    try {
      return [make(section, env)];
    } catch (error) {
      const reason = error instanceof BadSecret ? error.message : "it cannot be used";
      log.warning("alert-lost", `this run sends no alerts to rollout.alerts.${name}: ${reason}`, {
        sink: name,
      });
      return [];
    }
  };
  return [
    ...made("webhook", config.webhook, webhook),
    ...made("slack", config.slack, slack),
    ...made("pagerDuty", config.pagerDuty, pagerDuty),
    ...made("opsgenie", config.opsgenie, opsgenie),
    ...made("teams", config.teams, teams),
  ];
}
