/** What a contestant asked of the API server, from the server's own audit log. */

interface AuditEvent {
  auditID?: string;
  verb?: string;
  requestURI?: string;
  userAgent?: string;
  objectRef?: { resource?: string; subresource?: string; name?: string; namespace?: string };
  responseStatus?: { code?: number };
  requestObject?: { deleteOptions?: { dryRun?: string[] } };
}

export interface Requests {
  /** By verb and resource, without dry runs. */
  byKind: Record<string, number>;
  all: number;
  dryRunEvictions: number;
  /** Evictions that were granted, by the pod's name; a name can be there more than once. */
  evicted: string[];
  /** Evictions that a budget, or the server, refused. */
  refused: number;
}

/** @param agent prefix of the contestant's user agent */
export function countRequests(lines: Iterable<string>, agent: string): Requests {
  const found: Requests = { byKind: {}, all: 0, dryRunEvictions: 0, evicted: [], refused: 0 };
  const seen = new Set<string>(); // a watch has a line at its start and one at its end
  for (const line of lines) {
    if (!line.includes(agent)) continue;
    const event = JSON.parse(line) as AuditEvent;
    const { auditID = "", verb = "", objectRef } = event;
    if (event.userAgent?.startsWith(agent) !== true || seen.has(auditID)) continue;
    seen.add(auditID);
    const { resource = event.requestURI?.split("?")[0] ?? "", subresource, name = "" } = objectRef ?? {};
    const eviction = subresource === "eviction";
    if (eviction && isDryRun(event)) {
      found.dryRunEvictions++;
      continue;
    }
    const kind = `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`;
    found.byKind[kind] = (found.byKind[kind] ?? 0) + 1;
    found.all++;
    if (!eviction) continue;
    if ((event.responseStatus?.code ?? 0) < 300) found.evicted.push(name);
    else found.refused++;
  }
  return found;
}

const isDryRun = ({ requestURI = "", requestObject }: AuditEvent): boolean =>
  /[?&]dryRun=All/.test(requestURI) || requestObject?.deleteOptions?.dryRun?.includes("All") === true;

/** Requests about single pods: evictions, looks at one pod, Events about pods. The others are a node's or the run's. */
export const forPods = ({ byKind }: Requests): number =>
  Object.entries(byKind)
    .filter(([kind]) => /^(create pods\/eviction|get pods|patch pods|update pods|delete pods)$/.test(kind))
    .reduce((sum, [, count]) => sum + count, 0);

/**
 * Pods that were moved although they had been moved before: the pods of a Deployment have names of their own, so one that was not there
 * at the start is a replacement; a StatefulSet's pod keeps its name.
 */
export function movedTwice(evicted: readonly string[], before: ReadonlySet<string>): number {
  const known = new Set<string>();
  let twice = 0;
  for (const name of evicted) {
    if (!before.has(name) || known.has(name)) twice++;
    known.add(name);
  }
  return twice;
}
