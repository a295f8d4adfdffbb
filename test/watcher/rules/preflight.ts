/** Promise 2: nothing is touched before pre-flight passed. */
import type { Actor, Violation } from "../observation.ts";
import type { WatchState } from "../state.ts";
import { violation } from "./violation.ts";

/** A budget at zero for less than this may have been at one when pre-flight looked. */
const ZERO_SEEN_MS = 3000;

/** Judges PatchGuard's first touches: a cordon, a taint, an eviction, a new node. */
export function judgeTouch(
  state: WatchState,
  object: string,
  who: Actor,
  what: string,
  at: number,
): Violation[] {
  const gate = state.preflight;
  if (gate.state === "passed") return [];
  if (gate.state === "blocked") {
    const why = gate.budget === undefined ? "pre-flight had not passed" : `budget ${gate.budget} was at zero`;
    return [violation("before-preflight", object, at, who, `${what} while ${why}`)];
  }
  state.preflight = { state: "passed" };
  const zeros = [...state.budgets.entries()]
    .filter(([key, { zeroSince }]) => !state.exempt.has(key) && (zeroSince ?? Infinity) <= at - ZERO_SEEN_MS)
    .map(([key]) => key);
  if (zeros.length === 0) return [];
  return [
    violation(
      "before-preflight",
      object,
      at,
      who,
      `${what}, the first act, while at zero: ${zeros.join(", ")}`,
    ),
  ];
}
