/**
 * Text of others in a comment on GitHub. Names, messages of webhooks and words of the scheduler must not break a table, ping people,
 * link issues, or bring in HTML. https://github.github.com/gfm/ says what Markdown is; mentions, references and formulas are found by
 * GitHub after that, in rendered text, so that an entity does not stop them; inside code it looks for none.
 */

const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g;

/** Words in which GitHub may see a mention, an issue, a link, a formula or an emoji. */
const REFERENCE = /[@$]|#\d|\bgh-\d|:\/\/|\bwww\.|:[a-z_+-][\w+-]*:/i;

const entity = (character: string): string => `&#${character.codePointAt(0)};`;

/** One line, without what cannot be seen, and not longer than `most` characters. */
export function line(text: string, most = 700): string {
  const clean = text.replace(UNSEEN, " ").replace(/ {2,}/g, " ").trim();
  return clean.length <= most ? clean : `${clean.slice(0, most - 1)}…`;
}

/** As code: exactly these characters, nothing of them read as Markdown. */
export function code(text: string): string {
  const clean = line(text);
  if (clean === "") return "";
  if (!/[`|\\]/.test(clean)) return `\`${clean}\``;
  // a code span cannot hold these in a table cell in every case; the element with entities can
  return `<code>${clean.replace(/[^A-Za-z0-9 ,/=-]/gu, entity)}</code>`;
}

/** As prose. What stands between backticks becomes code, and so does a word that GitHub might make something of. */
export function prose(text: string): string {
  return line(text)
    .split(/(`[^`]+`)/)
    .map((part, at) => (at % 2 === 1 ? code(part.slice(1, -1)) : part.replace(/\S+/g, word)))
    .join("");
}

/** Marks after a word are not part of it. */
const word = (text: string): string => {
  if (!REFERENCE.test(text)) return text.replace(/[\\`*_[\]<>|~&]/gu, entity);
  const [, inner = "", after = ""] = /^(.+?)([).,;:]*)$/u.exec(text) ?? [];
  return `${code(inner)}${after}`;
};
