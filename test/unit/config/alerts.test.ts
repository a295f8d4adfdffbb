import assert from "node:assert/strict";
import { alerts } from "../../../rollout/config/alerts.ts";
import { problemsOf } from "../../../rollout/config/problems.ts";

const CANARY = "canary3f9a7c51";

const problems = (value: unknown): string => {
  const result = alerts.safeParse(value);
  if (result.success) return "";
  return problemsOf(result.error, "alerts")
    .map(({ path, reason }) => `${path}: ${reason}`)
    .join("\n");
};

/** A good section of each sink, and the settings in which somebody may put a secret. */
const SINKS: [string, Record<string, string>, string[]][] = [
  [
    "webhook",
    { urlFrom: "PATCHGUARD_WEBHOOK_URL", secretFrom: "PATCHGUARD_WEBHOOK_SECRET" },
    ["url", "secret"],
  ],
  ["slack", { urlFrom: "PATCHGUARD_SLACK_URL" }, ["url"]],
  ["pagerDuty", { routingKeyFrom: "PATCHGUARD_PAGERDUTY_KEY", region: "eu" }, ["routingKey"]],
  ["opsgenie", { apiKeyFrom: "PATCHGUARD_OPSGENIE_KEY", site: "jira" }, ["apiKey"]],
  ["teams", { urlFrom: "PATCHGUARD_TEAMS_URL" }, ["url"]],
];

describe("config: alerts", () => {
  for (const [sink, section, secrets] of SINKS) {
    it(`${sink}: names of variables are taken as they are`, () => {
      assert.equal(problems({ [sink]: section }), "");
      assert.deepEqual((alerts.parse({ [sink]: section }) as Record<string, object>)[sink], {
        ...(alerts.parse({ [sink]: section }) as Record<string, object>)[sink],
        ...section,
      });
    });
    it(`${sink}: a secret in the config is refused, and not repeated`, () => {
      for (const setting of Object.keys(section).filter((it) => it.endsWith("From"))) {
        for (const value of [`https://hooks.example.com/${CANARY}`, CANARY, "AWS_SECRET_ACCESS_KEY", 7, ""]) {
          const said = problems({ [sink]: { ...section, [setting]: value } });
          assert.match(said, /must be the name of an environment variable that begins with PATCHGUARD_/);
          assert.ok(!said.includes(CANARY), said);
        }
      }
      for (const setting of secrets) {
        const said = problems({ [sink]: { ...section, [setting]: CANARY } });
        assert.match(said, new RegExp(`${setting}: is a secret, which never stands in the config: .*From`));
        assert.ok(!said.includes(CANARY), said);
      }
    });
  }
});
