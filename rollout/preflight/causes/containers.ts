import type { ContainerStatus, Pod } from "../../cluster/types.ts";

/** A container of a pod, with where it stands. */
export interface Stuck {
  pod: Pod;
  status: ContainerStatus;
  init: boolean;
}

/** Containers in the order in which they run: init containers first. */
export const containersOf = (pod: Pod): Stuck[] => [
  ...(pod.status?.initContainerStatuses ?? []).map((status) => ({ pod, status, init: true })),
  ...(pod.status?.containerStatuses ?? []).map((status) => ({ pod, status, init: false })),
];

export const waitingFor = ({ status }: Stuck): string | undefined => status.state?.waiting?.reason;

/** How its last run ended; undefined where it has not ended yet, or ended well. */
export function lastEnd({ status }: Stuck): NonNullable<ContainerStatus["lastState"]>["terminated"] {
  const end = status.state?.terminated ?? status.lastState?.terminated;
  return end === undefined || (end.exitCode === 0 && end.reason === "Completed" && status.ready === true)
    ? undefined
    : end;
}

/** A container that has ended again this recently has not settled, though it may run at this moment. Seconds. */
const UNSETTLED_SECONDS = 600;

/** In back-off between two runs, or in one of the short runs themselves. */
export function isCrashing(stuck: Stuck, now: number): boolean {
  const { status } = stuck;
  if (waitingFor(stuck) === "CrashLoopBackOff") return true;
  if (status.ready === true || (status.restartCount ?? 0) < 2) return false;
  const end = lastEnd(stuck);
  if (end === undefined || (end.exitCode === 0 && end.reason === "Completed" && stuck.init)) return false;
  if (status.state?.terminated !== undefined) return true;
  return end.finishedAt !== undefined && now - Date.parse(end.finishedAt) < UNSETTLED_SECONDS * 1000;
}

export const isOomKilled = (stuck: Stuck): boolean =>
  stuck.status.ready !== true && lastEnd(stuck)?.reason === "OOMKilled";

/** https://github.com/kubernetes/kubernetes/blob/v1.34.4/pkg/kubelet/images/types.go */
const IMAGE_REASONS = new Set([
  "ImagePullBackOff",
  "ErrImagePull",
  "InvalidImageName",
  "ErrImageNeverPull",
  "ImageInspectError",
  "RegistryUnavailable",
  "SignatureValidationFailed",
]);

export const isImageMissing = (stuck: Stuck): boolean => IMAGE_REASONS.has(waitingFor(stuck) ?? "");

/** What a pod waits for while all is well: its start takes time. */
const ON_ITS_WAY = new Set(["ContainerCreating", "PodInitializing"]);

/** A waiting container that no time will help, such as CreateContainerConfigError. */
export const isRefused = (stuck: Stuck): boolean => {
  const reason = waitingFor(stuck);
  return reason !== undefined && !ON_ITS_WAY.has(reason);
};

/** `container app of pod shop/web-1`, `init container migrate of pod shop/web-1` */
export const containerName = ({ pod, status, init }: Stuck): string =>
  `${init ? "init container" : "container"} ${status.name} of pod ${pod.metadata.namespace}/${pod.metadata.name}`;
