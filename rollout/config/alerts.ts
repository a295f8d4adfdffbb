import { z } from "zod";

/**
 * `patchguard:rollout.alerts`: where alerts go. Addresses and keys are secrets, and the config ends up in Pulumi's state: it holds names
 * of environment variables alone. The prefix keeps other credentials of the environment from being sent anywhere by mistake.
 */
const variable = (example: string) => {
  // never quotes the value: it may well be the secret itself
  const error = () =>
    `must be the name of an environment variable that begins with PATCHGUARD_, such as ${example}; what it holds is a secret, and never stands in the config`;
  return z.string({ error }).regex(/^PATCHGUARD_[A-Z0-9_]{1,100}$/, { error });
};

/** Refuses the secret itself under the name that somebody may well give it. */
const literal = (instead: string) =>
  z
    .unknown()
    .superRefine((value, context) => {
      const message = `is a secret, which never stands in the config: put it into an environment variable and name that in ${instead}`;
      if (value !== undefined) context.addIssue({ code: "custom", message });
    })
    .transform(() => undefined)
    .optional();

export const alerts = z.strictObject({
  /** Any HTTP endpoint, told the alert as JSON, signed. Default: none. */
  webhook: z
    .strictObject({
      /** Environment variable with its address. */
      urlFrom: variable("PATCHGUARD_WEBHOOK_URL"),
      /** Environment variable with the signing secret: `whsec_` and 24 to 64 bytes in base64. */
      secretFrom: variable("PATCHGUARD_WEBHOOK_SECRET"),
      url: literal("urlFrom"),
      secret: literal("secretFrom"),
    })
    .optional(),
  /** A channel of Slack, by an incoming webhook. Default: none. */
  slack: z.strictObject({ urlFrom: variable("PATCHGUARD_SLACK_URL"), url: literal("urlFrom") }).optional(),
  /** A service of PagerDuty. Default: none. */
  pagerDuty: z
    .strictObject({
      /** Environment variable with the integration key of the Events API v2. */
      routingKeyFrom: variable("PATCHGUARD_PAGERDUTY_KEY"),
      /** Where the account is. Default: us. */
      region: z.enum(["us", "eu"], { error: () => "must be us or eu" }).default("us"),
      routingKey: literal("routingKeyFrom"),
    })
    .optional(),
  /** Opsgenie, or Jira Service Management, its successor. Default: none. */
  opsgenie: z
    .strictObject({
      /** Environment variable with the key of an API integration. */
      apiKeyFrom: variable("PATCHGUARD_OPSGENIE_KEY"),
      /** Where the account is. Default: us. */
      site: z
        .enum(["us", "eu", "jira"], { error: () => "must be us, eu or jira (Jira Service Management)" })
        .default("us"),
      apiKey: literal("apiKeyFrom"),
    })
    .optional(),
  /** A channel or chat of Microsoft Teams, by a workflow. Default: none. */
  teams: z.strictObject({ urlFrom: variable("PATCHGUARD_TEAMS_URL"), url: literal("urlFrom") }).optional(),
});

export type AlertsConfig = z.output<typeof alerts>;
