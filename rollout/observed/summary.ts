import type { Evidence } from "./evidence.ts";

/** Lists that can be long, and how many of their entries the summary keeps if it can. */
const KEEP = { pods: 200, nodes: 200, log: 200, health: 100, waves: 100 };

/**
 * The evidence, small enough for a ConfigMap: of long lists the entries that tell most (the slowest pods and nodes, the last lines
 * of the log), and under `cut` how many were left out of which.
 * @param limit bytes of its JSON
 */
export function summaryOf(evidence: Evidence, limit: number): Evidence {
  const lists = {
    ...evidence,
    pods: evidence.pods.toSorted(slowestPod),
    nodes: evidence.nodes.toSorted(slowestNode),
  };
  for (let part = 1; ; part *= 2) {
    const summary = cutTo(lists, part);
    if (Buffer.byteLength(JSON.stringify(summary)) <= limit || part > KEEP.pods) return summary;
  }
}

const slowestPod = (a: Evidence["pods"][number], b: Evidence["pods"][number]): number =>
  total(b) - total(a) || a.pod.localeCompare(b.pod);

const total = ({
  refusedSeconds,
  stopSeconds,
  startSeconds,
  volumeSeconds,
}: Evidence["pods"][number]): number =>
  (refusedSeconds ?? 0) + (stopSeconds ?? 0) + (startSeconds ?? 0) + (volumeSeconds ?? 0);

const slowestNode = (a: Evidence["nodes"][number], b: Evidence["nodes"][number]): number =>
  (b.drainSeconds ?? Infinity) - (a.drainSeconds ?? Infinity) || a.node.localeCompare(b.node);

/** Of a window that passed nobody asks for every sample; of others the samples of what did not pass stay. */
function brief(window: Evidence["health"][number]): Evidence["health"][number] {
  const { judgements, ...rest } = window;
  const told = judgements?.filter(({ outcome }) => outcome !== "pass") ?? [];
  return told.length === 0 ? rest : { ...rest, judgements: told };
}

/** @param part 1 keeps what fits into KEEP, 2 half of that, and so on */
function cutTo(evidence: Evidence, part: number): Evidence {
  const cut: Record<string, number> = { ...evidence.cut };
  const kept = <T>(name: string, list: readonly T[], most: number, last = false): T[] => {
    const length = Math.floor(most / part);
    if (list.length <= length) return [...list];
    cut[name] = (cut[name] ?? 0) + list.length - length;
    return last ? list.slice(list.length - length) : list.slice(0, length);
  };
  const lists = {
    blocked: kept("blocked", evidence.blocked, KEEP.pods),
    waves: kept("waves", evidence.waves, KEEP.waves),
    nodes: kept("nodes", evidence.nodes, KEEP.nodes),
    pods: kept("pods", evidence.pods, KEEP.pods),
    health: kept("health", part === 1 ? evidence.health : evidence.health.map(brief), KEEP.health, true),
    log: kept("log", evidence.log, KEEP.log, true),
  };
  const proof =
    evidence.proof &&
    Object.fromEntries(
      Object.entries(evidence.proof).map(([name, value]) => [
        name,
        Array.isArray(value) ? kept(`proof.${name}`, value as unknown[], KEEP.nodes) : value,
      ]),
    );
  return {
    ...evidence,
    ...lists,
    ...(evidence.why !== undefined && { why: evidence.why.slice(0, 4000) }),
    ...(proof && { proof }),
    ...(Object.keys(cut).length > 0 && { cut }),
  };
}
