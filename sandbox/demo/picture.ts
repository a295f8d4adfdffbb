/** The live picture of a handover: each node a line, in the colour of its generation, with its pods as dots. Pure text. */

export interface PictureNode {
  name: string;
  zone: string;
  generation: string;
  ready: boolean;
  cordoned: boolean;
  pods: { name: string; ready: boolean; terminating: boolean }[];
}

const paint = (code: string, text: string, colour: boolean): string =>
  colour ? `\u001b[${code}m${text}\u001b[0m` : text;

const WIDTH = 14;

/** The host name alone: `.ec2.internal` says nothing here. */
const short = (name: string): string => (name.split(".")[0] ?? name).slice(0, WIDTH).padEnd(WIDTH);

/** Nodes grouped by zone; `blue` is the generation that was there first. */
export function picture(nodes: readonly PictureNode[], blue: string, colour: boolean): string[] {
  const zones = [...Map.groupBy(nodes, ({ zone }) => zone)].toSorted(([a], [b]) => a.localeCompare(b));
  return zones.flatMap(([zone, list]) => [
    paint("2", zone, colour),
    ...list
      .toSorted(
        (a, b) =>
          Number(b.generation === blue) - Number(a.generation === blue) || a.name.localeCompare(b.name),
      )
      .map((node) => line(node, node.generation === blue, colour)),
  ]);
}

function line(node: PictureNode, isBlue: boolean, colour: boolean): string {
  const state = !node.ready
    ? "joining"
    : node.cordoned
      ? node.pods.length > 0
        ? "draining"
        : "empty"
      : "serving";
  const swatch = paint(isBlue ? "44" : "42", "  ", colour);
  const kind = paint(isBlue ? "34" : "32", isBlue ? "blue " : "green", colour);
  const pods = node.pods
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map((pod) =>
      pod.terminating
        ? paint("2", "○", colour)
        : pod.ready
          ? paint(isBlue ? "34" : "32", "●", colour)
          : paint("33", "◌", colour),
    )
    .join(" ");
  return `  ${swatch} ${kind} ${short(node.name)} ${state.padEnd(8)} ${pods}`;
}

export const LEGEND = "● serving   ◌ starting   ○ stopping";
