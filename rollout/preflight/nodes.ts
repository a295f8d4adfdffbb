import type { Finding } from "../finding.ts";
import { isReady } from "../target.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";

/** Blue nodes that are not well. */
export const nodes = ({ blue }: Scene): Finding[] =>
  blue
    .filter((node) => !isReady(node))
    .map((node) =>
      finding(
        "node-not-ready",
        refOf("Node", node),
        "it is not Ready; its pods may be stuck until it comes back or is gone",
        `\`kubectl describe node ${node.metadata.name}\`, or terminate its instance`,
      ),
    );
