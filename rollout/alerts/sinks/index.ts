import type { AlertsConfig } from "../../config/alerts.ts";
import type { RunLog } from "../../log.ts";
import type { Sink } from "../sink.ts";
import { BadSecret, type Environment } from "./secret.ts";
import { webhook } from "./webhook.ts";

export type { Environment } from "./secret.ts";

/**
 * The sinks that the config names, with their secrets from the environment. One that lacks its secret is told at once and left out: an
 * urgent patch does not wait for somebody's chat.
 */
export function sinksOf(config: AlertsConfig, env: Environment, log: RunLog): Sink[] {
  const makers: [string, (() => Sink) | undefined][] = [
    [
      "webhook",
      config.webhook &&
        (
          (it) => () =>
            webhook(it, env)
        )(config.webhook),
    ],
  ];
  return makers.flatMap(([name, make]) => {
    if (make === undefined) return [];
    try {
      return [make()];
    } catch (error) {
      const reason = error instanceof BadSecret ? error.message : "it cannot be used";
      log.warning("alert-lost", `this run sends no alerts to rollout.alerts.${name}: ${reason}`, {
        sink: name,
      });
      return [];
    }
  });
}
