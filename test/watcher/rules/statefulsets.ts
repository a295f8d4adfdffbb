/** Promise 6: one pod of a StatefulSet at a time, until it is Ready elsewhere and its volumes have been handed over. */
import type { Violation } from "../observation.ts";
import { isProduct } from "../observation.ts";
import { claimNames, controllerOf, isReady, isTerminating, keyOf } from "../objects.ts";
import type { Cause, Handing, PodRecord, WatchState } from "../state.ts";
import { violation } from "./violation.ts";

const attachment = (state: WatchState, volume: string, node: string) =>
  [...state.attachments.values()].find(
    (each) => each.spec?.source?.persistentVolumeName === volume && each.spec.nodeName === node,
  );

/** Called when PatchGuard made a pod terminate. */
export function judgeStatefulSet(
  state: WatchState,
  record: PodRecord,
  cause: Cause,
  at: number,
): Violation[] {
  const { pod } = record;
  const owner = controllerOf(pod);
  if (owner?.kind !== "StatefulSet" || !isProduct(cause.actor)) return [];
  const found: Violation[] = [];
  const open: Handing[] = [];
  for (const handing of state.handing.get(owner.uid) ?? []) {
    const missing = unfinished(state, owner.uid, handing);
    if (missing === undefined) continue;
    open.push(handing);
    if (handing.pod === pod.metadata.name) continue; // the same pod again: that is moved-twice's to tell
    const set = `statefulset ${pod.metadata.namespace ?? ""}/${owner.name}`;
    found.push(
      violation(
        "statefulset-overlap",
        set,
        at,
        cause.actor,
        `${pod.metadata.name} was disrupted while ${missing}`,
      ),
    );
  }
  const from = pod.spec?.nodeName ?? "";
  const volumes = claimNames(pod).flatMap((claim) => {
    const volume = state.claims.get(`${pod.metadata.namespace ?? ""}/${claim}`)?.spec?.volumeName;
    if (volume === undefined) return [];
    return [{ volume, wasAttached: attachment(state, volume, from) !== undefined }];
  });
  open.push({ pod: pod.metadata.name, uid: pod.metadata.uid, from, volumes });
  state.handing.set(owner.uid, open);
  return found;
}

/** What a pod on the move still lacks, or undefined when it has arrived. */
function unfinished(state: WatchState, setUid: string, handing: Handing): string | undefined {
  const set = state.scaled.get(setUid);
  const ordinal = Number(/-(\d+)$/.exec(handing.pod)?.[1] ?? 0);
  const ends = (set?.spec?.ordinals?.start ?? 0) + (set?.spec?.replicas ?? 1);
  if (set === undefined || ordinal >= ends) return undefined; // scaled down: nobody waits for it any more
  const next = [...state.pods.values()].find(
    ({ pod }) =>
      pod.metadata.name === handing.pod &&
      pod.metadata.uid !== handing.uid &&
      controllerOf(pod)?.uid === setUid,
  )?.pod;
  if (next === undefined) return `${handing.pod} had no successor yet`;
  if (!isReady(next) || isTerminating(next)) return `${keyOf(next)} was not Ready again`;
  const node = next.spec?.nodeName ?? "";
  for (const { volume, wasAttached } of handing.volumes) {
    if (!wasAttached) continue; // its driver attaches nothing
    if (node !== handing.from && attachment(state, volume, handing.from) !== undefined) {
      return `volume ${volume} of ${handing.pod} still had its attachment to ${handing.from}`;
    }
    if (attachment(state, volume, node)?.status?.attached !== true) {
      return `volume ${volume} of ${handing.pod} was not attached to ${node}`;
    }
  }
  return undefined;
}
