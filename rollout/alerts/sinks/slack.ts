import type { Alert } from "../alert.ts";
import type { Sink } from "../sink.ts";
import { cut, factsFor, titleOf } from "../words.ts";
import { post } from "./request.ts";
import { type Environment, urlFrom } from "./secret.ts";

/** Limits of blocks, characters and fields: https://docs.slack.dev/reference/block-kit/blocks/ */
const HEADER = 150;
const SECTION = 3000;
const FIELD = 2000;
const FIELDS = 10;

/**
 * A Slack channel, by an incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks. Its address is the
 * secret.
 */
export function slack(config: { urlFrom: string }, env: Environment): Sink {
  const url = urlFrom(env, config.urlFrom);
  return {
    name: "Slack",
    takes: () => true,
    async send(alert, signal) {
      await post({ to: "Slack", url, body: JSON.stringify(messageOf(alert)) }, signal);
    },
  };
}

/** `text` is what notifications show, the blocks are what the channel shows. */
export function messageOf(alert: Alert): object {
  const { summary, fix } = alert;
  const title = `${signOf(alert)} ${titleOf(alert)}`;
  const facts = factsFor(alert).map(([label, value]) => ({
    type: "mrkdwn",
    text: cut(`*${label}*\n${escaped(value)}`, FIELD),
  }));
  const sections = [];
  for (let at = 0; at < facts.length; at += FIELDS)
    sections.push({ type: "section", fields: facts.slice(at, at + FIELDS) });
  return {
    text: escaped(`${title}: ${summary}`),
    blocks: [
      { type: "header", text: { type: "plain_text", text: cut(title, HEADER) } },
      // plain text: nothing that an object is named is read as a format or a mention
      { type: "section", text: { type: "plain_text", text: cut(summary, SECTION) } },
      ...(fix === undefined
        ? []
        : [{ type: "section", text: { type: "plain_text", text: cut(`To go on: ${fix}`, SECTION) } }]),
      ...sections,
    ],
  };
}

const signOf = ({ status, severity }: Alert): string =>
  status === "resolved" ? "✅" : severity === "critical" ? "🔴" : "🟠";

/** The three characters that Slack reads as its own: https://docs.slack.dev/messaging/formatting-message-text#escaping */
const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
