import type { Condition, Container, ContainerStatus, Pod } from "../../../rollout/cluster/types.ts";
import { SINCE } from "./defaults.ts";

/** What the API server writes into every pod that says nothing else. */
const DEFAULTS = {
  restartPolicy: "Always",
  schedulerName: "default-scheduler",
  terminationGracePeriodSeconds: 30,
};
const LOST_NODE = ["not-ready", "unreachable"].map((state) => ({
  key: `node.kubernetes.io/${state}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 300,
}));

/** A pod with its status filled in as the kubelet and the scheduler would: it runs and is Ready where nothing else is said. */
export function podOf(pod: Pod): Pod {
  const { spec = {}, status = {} } = pod;
  const scheduled = spec.nodeName !== undefined;
  const phase = status.phase ?? (scheduled ? "Running" : "Pending");
  const given = new Map((status.containerStatuses ?? []).map((it) => [it.name, it]));
  const containers = spec.containers ?? [{ name: pod.metadata.name }];
  const containerStatuses = scheduled
    ? containers.map((it) => containerStatus(it, given.get(it.name), phase))
    : [];
  const ready = phase === "Running" && containerStatuses.every((it) => it.ready === true);
  const conditions = new Map<string, Condition>(
    [
      condition("PodScheduled", scheduled),
      condition("Initialized", scheduled),
      condition("ContainersReady", ready),
      condition("Ready", ready),
    ].map((it) => [it.type, it]),
  );
  for (const it of status.conditions ?? []) conditions.set(it.type, { lastTransitionTime: SINCE, ...it });
  return {
    ...pod,
    spec: { ...DEFAULTS, ...spec, containers, tolerations: [...(spec.tolerations ?? []), ...LOST_NODE] },
    status: {
      ...(scheduled && { startTime: pod.metadata.creationTimestamp ?? SINCE }),
      ...status,
      phase,
      conditions: [...conditions.values()],
      ...(containerStatuses.length > 0 && { containerStatuses }),
    },
  };
}

const condition = (type: string, holds: boolean): Condition => ({
  type,
  status: holds ? "True" : "False",
  lastTransitionTime: SINCE,
});

function containerStatus(
  { name, image }: Container,
  given: ContainerStatus | undefined,
  phase: string,
): ContainerStatus {
  const running = phase === "Running" ? { running: { startedAt: SINCE } } : {};
  const ended = {
    terminated: { exitCode: phase === "Failed" ? 1 : 0, reason: phase === "Failed" ? "Error" : "Completed" },
  };
  const state: NonNullable<ContainerStatus["state"]> =
    given?.state ??
    (phase === "Succeeded" || phase === "Failed"
      ? ended
      : phase === "Running"
        ? running
        : { waiting: { reason: "ContainerCreating" } });
  return {
    ...(image === undefined ? {} : { image }),
    ready: phase === "Running" && state.running !== undefined,
    restartCount: 0,
    name,
    ...given,
    state,
  };
}
