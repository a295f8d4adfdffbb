import type { CloudFacts } from "../cloud/facts.ts";
import type { Node, Pod } from "../cluster/types.ts";
import type { RolloutConfig } from "../config/index.ts";
import type { Finding } from "../finding.ts";
import type { Lacked } from "../owed.ts";
import type { Picture } from "../picture.ts";
import { workloadPodsOn } from "../pods.ts";
import type { RunRecord } from "../run-state.ts";
import { isBlue, type Target } from "../target.ts";
import type { GreenSpec } from "../targets.ts";

/** What pre-flight is asked: may this pool's blue nodes be emptied onto green, and what stands in the way? Plain data. */
export interface Question {
  picture: Picture;
  target: Target;
  config: RolloutConfig;
  /** Milliseconds. */
  now: number;
  /** What green will be made of; undefined where nobody knows (an adopted Gate of an older state): fit and cloud are then not judged. */
  green?: GreenSpec | undefined;
  /** What the cloud said of its limits; undefined where it was not asked. */
  cloud?: CloudFacts | undefined;
  /** The record of an unfinished run: what its own half-moved pods cause is `wait`, not `block`. */
  resumed?: RunRecord | undefined;
  /**
   * What an earlier handover has left short (owed.ts), and whether it is still given the time to come back by itself: `wait`, not `block`.
   */
  owed?: { lacked: Lacked; inTime: boolean } | undefined;
}

/** A question with what every rule needs worked out once. */
export interface Scene extends Question {
  /** The nodes to empty, by name. */
  blue: readonly Node[];
  /** Their workload pods, by name. */
  moving: readonly Pod[];
}

/** One rule of pre-flight: pure, makes no request. */
export type Rule = (scene: Scene) => Finding[];

export function sceneOf(question: Question): Scene {
  const { picture, target } = question;
  const blue = picture
    .all("Node")
    .filter((node) => isBlue(target, node))
    .toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  return { ...question, blue, moving: blue.flatMap((node) => workloadPodsOn(picture, node.metadata.name)) };
}
