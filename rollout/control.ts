import { randomUUID } from "node:crypto";
import type { Clock } from "./clock.ts";
import { ApiError, type Cluster } from "./cluster/cluster.ts";
import type { Lease } from "./cluster/types.ts";
import type { Action, Answer, Asked } from "./controls.ts";
import { Refused } from "./errors.ts";
import { expired, stackOf } from "./lease.ts";
import { ANNOTATION_CONTROL, ANNOTATION_CONTROL_SEEN, LEASE_NAME, STATE_NAMESPACE } from "./names.ts";

export interface Wish {
  action: Action;
  /** Name of the Pulumi stack whose handover is meant. */
  stack: string;
  /** Name of the cluster, for messages. */
  clusterName: string;
  by: string;
  reason?: string | undefined;
}

/** The handover reads its Lease as often as it renews it; beyond its duration it is dead. On top of that, for the way. Seconds. */
const SLACK_SECONDS = 15;
const LOOK_MS = 1000;

/**
 * Asks the handover that runs on a cluster for something, and waits for its answer.
 * @returns its answer: what follows
 * @throws Refused when no handover of the stack runs there, when it ends before it answers, or when it does not answer in time: the
 *   wish is then taken back
 */
export async function ask(
  { cluster, clock }: { cluster: Cluster; clock: Clock },
  wish: Wish,
): Promise<Answer> {
  const lease = await running(cluster, clock, wish);
  const run = lease.spec?.holderIdentity ?? "";
  const asked: Asked = {
    action: wish.action,
    id: randomUUID().slice(0, 8),
    run,
    by: wish.by,
    at: new Date(clock.now()).toISOString(),
    ...(wish.reason && { reason: wish.reason }),
  };
  const text = JSON.stringify(asked);
  const annotate = (value: string | null, resourceVersion?: string): Promise<Lease> =>
    cluster.patch("Lease", LEASE_NAME, STATE_NAMESPACE, {
      metadata: { annotations: { [ANNOTATION_CONTROL]: value }, ...(resourceVersion && { resourceVersion }) },
    });
  await annotate(text);
  const seconds = (lease.spec?.leaseDurationSeconds ?? 0) + SLACK_SECONDS;
  const deadline = clock.now() + seconds * 1000;
  for (;;) {
    await clock.sleep(LOOK_MS);
    const now = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
    const answer = answerOf(now);
    if (answer?.id === asked.id) return answer;
    const holder = now?.spec?.holderIdentity ?? "";
    const mine = now?.metadata.annotations?.[ANNOTATION_CONTROL] === text;
    const late = clock.now() >= deadline;
    if (holder === run && !late && mine) continue;
    if (mine) {
      try {
        await annotate(null, now?.metadata.resourceVersion);
      } catch (error) {
        if (error instanceof ApiError && error.status === 409) continue; // it has just been read
        throw error;
      }
    }
    if (holder !== run)
      throw new Refused(
        `the handover ${run} on cluster ${wish.clusterName} ended before it saw the ${wish.action}`,
      );
    if (late)
      throw new Refused(
        `the handover ${run} on cluster ${wish.clusterName} did not answer within ${seconds} s, so the ${wish.action} was taken back. ` +
          `See whether its \`pulumi up\` still runs; Ctrl-C twice stops it, and \`npm run restore\` reopens what it closed.`,
      );
    throw new Refused(
      `the ${wish.action} was replaced by another wish before the handover ${run} saw it: ask again.`,
    );
  }
}

/** @throws Refused unless a handover of the stack is alive */
async function running(cluster: Cluster, clock: Clock, { stack, clusterName }: Wish): Promise<Lease> {
  const lease = await cluster.get("Lease", LEASE_NAME, STATE_NAMESPACE);
  const id = lease?.spec?.holderIdentity ?? "";
  if (lease === undefined || id === "")
    throw new Refused(
      `no handover runs on cluster ${clusterName}: nobody holds the Lease ${STATE_NAMESPACE}/${LEASE_NAME}.`,
    );
  if (expired(lease, clock.now()))
    throw new Refused(
      `no handover runs on cluster ${clusterName}: its last one (${id}) has not renewed the Lease ${STATE_NAMESPACE}/${LEASE_NAME} since ${lease.spec?.renewTime}. ` +
        `Run \`pulumi up\` to go on from there, or \`npm run restore\` to reopen what it closed.`,
    );
  const owner = stackOf(id);
  if (owner !== stack && owner.split("/").at(-1) !== stack)
    throw new Refused(
      `no handover of stack ${stack} runs on cluster ${clusterName}: the Lease ${STATE_NAMESPACE}/${LEASE_NAME} is held by ${id}.`,
    );
  return lease;
}

function answerOf(lease: Lease | undefined): Answer | undefined {
  try {
    return JSON.parse(lease?.metadata.annotations?.[ANNOTATION_CONTROL_SEEN] ?? "null") as Answer;
  } catch {
    return undefined; // somebody else wrote there: not an answer
  }
}
