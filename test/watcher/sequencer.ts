/**
 * Puts what arrives over many channels into the order in which it happened. Each kind of object has a watch of its
 * own, and the audit log is read beside them, so two things arrive in any order. What is known: all objects live in
 * one etcd, so resource versions order them among each other; a request was received before the change it made, and
 * a change is seen only after it was made. Everything is held back for a moment, then sorted.
 */
import type { MarkSeen, BlindSeen, ObjectSeen, Observation, RequestSeen } from "./observation.ts";
import { isTerminating, keyOf } from "./objects.ts";

/** How long everything is held back. Longer than any lag between the channels on a busy machine. */
export const HOLD_MS = 1500;
/** How much longer the end of a pod waits for the request that caused it to show up in the audit log. */
const CAUSE_MS = 8000;

interface Waiting {
  event: ObjectSeen;
  version: number;
}

export class Sequencer {
  private objects: Waiting[] = [];
  private others: (RequestSeen | MarkSeen | BlindSeen)[] = [];
  /** Pods that were asked to go, by `namespace/name`; `namespace/` for a whole collection. */
  private asked = new Set<string>();
  private ended = new Set<string>();

  push(observation: Observation): void {
    if (observation.type === "object") {
      const version = Number(observation.object.metadata.resourceVersion ?? 0);
      this.objects.push({ event: observation, version });
      return;
    }
    this.others.push(observation);
    if (observation.type === "request" && observation.resource === "pods" && observation.code < 300) {
      if (observation.subresource === "eviction" || observation.verb.startsWith("delete")) {
        this.asked.add(`${observation.namespace}/${observation.name}`);
      }
    }
  }

  /** A pod that terminated already when the watcher began: nobody will be found in the log for it. */
  skipCause(uid: string): void {
    this.ended.add(uid);
  }

  /** Whether something from before a moment is still held back. */
  holdsBack(before: number): boolean {
    return this.objects.some(({ event }) => event.at <= before) || this.others.some(({ at }) => at <= before);
  }

  /** Everything that is old enough, in order. */
  release(now: number): Observation[] {
    this.objects.sort((a, b) => a.version - b.version);
    this.others.sort((a, b) => a.at - b.at);
    // an object was there no later than any newer one arrived
    let earliest = Infinity;
    for (const waiting of [...this.objects].reverse()) {
      earliest = Math.min(earliest, waiting.event.at);
      waiting.event.at = earliest;
    }
    const cutoff = now - HOLD_MS;
    const released: Observation[] = [];
    let [o, r] = [0, 0];
    for (;;) {
      const object = this.objects[o]?.event;
      const other = this.others[r];
      if (other !== undefined && other.at <= cutoff && (object === undefined || other.at <= object.at)) {
        released.push(other);
        r += 1;
      } else if (object !== undefined && object.at <= cutoff && !this.awaitsCause(object, now)) {
        released.push(object);
        o += 1;
      } else {
        break;
      }
    }
    this.objects.splice(0, o);
    this.others.splice(0, r);
    return released;
  }

  private awaitsCause({ object, change, at }: ObjectSeen, now: number): boolean {
    if (object.kind !== "Pod" || this.ended.has(object.metadata.uid)) return false;
    if (change !== "DELETED" && !isTerminating(object)) return false;
    const key = keyOf(object);
    const known = this.asked.has(key) || this.asked.has(`${object.metadata.namespace ?? ""}/`);
    if (!known && now - at < HOLD_MS + CAUSE_MS) return true;
    this.ended.add(object.metadata.uid);
    this.asked.delete(key);
    return false;
  }
}
