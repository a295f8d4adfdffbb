/** What `pulumi preview --diff` printed, as a collapsed block of a comment. */

/** Terminal colours, should somebody force them. */
const COLOURS = /\u001b\[[0-9;?]*[A-Za-z]/g;

const NO_ROOM = "\n\nWhat `pulumi preview --diff` says is too long for a comment: the log of the run has it.";

/** @param most bytes; nothing is returned where not even a few lines fit */
export function diffBlock(diff: string, most: number): string {
  const text = diff.replace(COLOURS, "").replaceAll("\r\n", "\n").replaceAll("\r", "\n").trimEnd();
  if (text.trim() === "") return "";
  const lines = text.split("\n").map(coloured);
  // longer than any run of backticks within
  const run = [...text.matchAll(/`+/g)].reduce((longest, [it]) => Math.max(longest, it.length), 2);
  const fence = "`".repeat(run + 1);
  const block = (body: string[], cut: number): string =>
    [
      "\n\n<details><summary>What <code>pulumi preview --diff</code> says</summary>",
      "",
      `${fence}diff`,
      ...body,
      fence,
      ...(cut === 0
        ? []
        : [
            "",
            `${cut} lines in the middle are cut: a comment holds no more. The log of the run has them all.`,
          ]),
      "",
      "</details>",
    ].join("\n");
  if (Buffer.byteLength(block(lines, 0)) <= most) return block(lines, 0);
  const room = most - Buffer.byteLength(block([" ⋮"], lines.length));
  const [head, tail] = [take(lines, room * 0.7), take(lines.toReversed(), room * 0.3).toReversed()];
  const cut = lines.length - head.length - tail.length;
  if (room > 0 && head.length + tail.length > 0) return block([...head, " ⋮", ...tail], cut);
  return Buffer.byteLength(NO_ROOM) <= most ? NO_ROOM : ""; // one line may be longer than all the room
}

/** As many of the first lines as fit into so many bytes. */
function take(lines: readonly string[], room: number): string[] {
  let left = room;
  const end = lines.findIndex((line) => (left -= Buffer.byteLength(line) + 1) < 0);
  return lines.slice(0, end < 0 ? lines.length : end);
}

/** GitHub colours a line by its first character, and the engine indents its signs. `!` is the sign for changed lines there. */
const coloured = (line: string): string =>
  line.replace(
    /^(\s+)([+~-])(?=[ +-])/,
    (_, indent: string, sign: string) => `${sign === "~" ? "!" : sign}${indent}`,
  );

/** Cuts a text to so many bytes, at a line. */
export function fitted(text: string, most: number): string {
  if (Buffer.byteLength(text) <= most) return text;
  const end = "\n\nThe rest is cut: a comment holds no more.\n";
  return take(text.split("\n"), most - Buffer.byteLength(end)).join("\n") + end;
}
