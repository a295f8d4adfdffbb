import type { Alert } from "../alert.ts";
import type { Sink } from "../sink.ts";
import { cut, factsFor, titleOf } from "../words.ts";
import { post } from "./request.ts";
import { type Environment, urlFrom } from "./secret.ts";

/** Characters; together they keep a message below the 28 KB that Teams takes: https://learn.microsoft.com/connectors/teams/. */
const TITLE = 300;
const FIX = 2500;
const VALUE = 500;

/**
 * A channel or chat of Microsoft Teams, by a workflow that begins with "When a Teams webhook request is received" and posts the card that
 * it is sent: https://learn.microsoft.com/connectors/teams/#when-a-teams-webhook-request-is-received. Its address is the secret.
 */
export function teams(config: { urlFrom: string }, env: Environment): Sink {
  const url = urlFrom(env, config.urlFrom);
  return {
    name: "Teams",
    takes: () => true,
    async send(alert, signal) {
      await post({ to: "Teams", url, body: JSON.stringify(messageOf(alert)) }, signal);
    },
  };
}

/** An adaptive card in the envelope that the workflow expects: https://adaptivecards.microsoft.com. */
export function messageOf(alert: Alert): object {
  const { summary, fix } = alert;
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    msteams: { width: "Full" },
    body: [
      paragraph([
        { text: cut(titleOf(alert), TITLE), weight: "Bolder", size: "Medium", color: colorOf(alert) },
      ]),
      paragraph([{ text: summary }]),
      ...(fix === undefined
        ? []
        : [paragraph([{ text: "To go on: ", weight: "Bolder" }, { text: cut(fix, FIX) }])]),
      ...factsFor(alert).map(([label, value]) =>
        paragraph([{ text: `${label}: `, weight: "Bolder" }, { text: cut(value, VALUE) }]),
      ),
    ],
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}

interface Run {
  text: string;
  weight?: "Bolder";
  size?: "Medium";
  color?: string;
}

/** Rich text is shown as it is: nothing that an object is named is read as a format or a link, as it would be in a TextBlock. */
const paragraph = (runs: readonly Run[]): object => ({
  type: "RichTextBlock",
  spacing: "Small",
  inlines: runs.map((run) => ({ type: "TextRun", ...run })),
});

const colorOf = ({ status, severity }: Alert): string =>
  status === "resolved" ? "Good" : severity === "critical" ? "Attention" : "Warning";
