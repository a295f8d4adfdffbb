/** What the scheduler decides about pods, as it decides. */
import type { Pod } from "../../rollout/cluster/types.ts";
import type { KubeApi, Stream } from "../watcher/api.ts";

export interface Decision {
  /** Where the pod was bound; undefined when no node takes it, and then why. */
  node?: string;
  message?: string;
}

const SECONDS = 60;

export class Decisions {
  private readonly waiting = new Map<string, (decision: Decision) => void>();
  private stream: Stream | undefined;
  private stopped = false;

  /** Follows the pods with this label and the value `candidate`. */
  static async follow(api: KubeApi, label: string): Promise<Decisions> {
    const decisions = new Decisions();
    await decisions.open(api, label);
    return decisions;
  }

  private async open(api: KubeApi, label: string): Promise<void> {
    const query = `labelSelector=${encodeURIComponent(`${label}=candidate`)}`;
    const end = (): void => {
      if (!this.stopped) void this.open(api, label);
    };
    this.stream = await api.stream(`/api/v1/pods?watch=true&${query}`, (line) => this.see(line), end);
  }

  private see(line: string): void {
    const { object: pod } = JSON.parse(line) as { object: Pod };
    const key = `${pod.metadata.namespace}/${pod.metadata.name}`;
    const decision = decisionOf(pod);
    if (decision === undefined) return;
    this.waiting.get(key)?.(decision);
    this.waiting.delete(key);
  }

  /** Ask before the pod is made. */
  of(namespace: string, name: string): Promise<Decision> {
    const key = `${namespace}/${name}`;
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`the scheduler did not decide about ${key} in ${SECONDS} s`)),
        SECONDS * 1000,
      );
      this.waiting.set(key, (decision) => {
        clearTimeout(late);
        resolve(decision);
      });
    });
  }

  stop(): void {
    this.stopped = true;
    this.stream?.close();
  }
}

/** A gate counts as a refusal: the scheduler never looks at such a pod. */
function decisionOf({ spec, status }: Pod): Decision | undefined {
  if (spec?.nodeName !== undefined) return { node: spec.nodeName };
  const refused = status?.conditions?.find(
    ({ type, status: is }) => type === "PodScheduled" && is === "False",
  );
  return refused && { message: refused.message ?? refused.reason ?? "" };
}
