import { poolGroups } from "./close.ts";
import type { TargetGroup } from "./cloud/cloud.ts";
import { Hold, messageOf } from "./errors.ts";
import { LABEL_EXCLUDE_LB } from "./names.ts";
import type { Run } from "./run.ts";
import { instanceId } from "./target.ts";

/** Health is asked again this often, while somebody is waited for. */
const LOOK_SECONDS = 5;
/** What the load balancer controller may take to notice the label, beyond the target group's own delay. */
const SLACK_SECONDS = 120;
/** What a target group keeps a deregistered target for, where that is not known yet: AWS's default. */
const USUAL_DELAY_SECONDS = 300;
/** Which target groups hold blue instances is asked again this often: a Service made in mid-handover brings a new one. */
const DISCOVER_SECONDS = 600;
/** `unused`: the target group has no load balancer, or none in that zone. No traffic comes. */
const SERVES = (state: string | undefined): state is string => state !== undefined && state !== "unused";

interface Serving extends TargetGroup {
  delaySeconds: number;
}

/** A node that is out of load balancers by its label, and what is left to wait for. */
interface Leaving {
  instance: string;
  /** When it was first seen with the label. Milliseconds of the clock. */
  since: number;
  /** The target groups that still have its instance, with the state there; undefined until they were asked. */
  left: Map<Serving, string> | undefined;
}

/**
 * Load balancers that send traffic to instances (target groups of type instance, through node ports): a controller takes a node out when
 * it has the exclusion label, and ELB then lets what was begun come to its end for the group's deregistration delay. A node counts as
 * drained only after that; its instance ends soon after, and connections through it would end with it.
 *
 * Target groups that the node's own Auto Scaling group is attached to are left out: Auto Scaling deregisters an instance that it ends and
 * waits out the delay itself.
 */
export class Balancers {
  private readonly run: Run;
  private readonly leaving = new Map<string, Leaving>();
  private serving: Serving[] = [];
  /** Target groups that Auto Scaling sees to, by instance. */
  private attached = new Map<string, ReadonlySet<string>>();
  private discoveredAt: number | undefined;
  private lookedAt = 0;
  /** Why the cloud could not be asked the last time. */
  private failure: string | undefined;
  constructor(run: Run) {
    this.run = run;
  }

  /**
   * Asks for what the nodes in hand still wait for, at most every 5 s, and only where there is anybody to ask.
   * @throws Hold when a target group keeps an instance for longer than its delay and some slack.
   */
  async look(): Promise<void> {
    const { clock } = this.run;
    this.notice();
    const waiting = [...this.leaving].filter(([, { left }]) => left === undefined || left.size > 0);
    if (waiting.length === 0) return;
    const now = clock.now();
    const fresh = waiting.some(([, { left }]) => left === undefined) && this.failure === undefined;
    if (!fresh && now - this.lookedAt < LOOK_SECONDS * 1000) return;
    this.lookedAt = now;
    try {
      if (this.discoveredAt === undefined || now - this.discoveredAt >= DISCOVER_SECONDS * 1000)
        await this.discover(waiting.map(([, { instance }]) => instance));
      await this.ask(waiting.map(([, leaving]) => leaving));
      this.failure = undefined;
    } catch (error) {
      if (this.failure === undefined)
        this.run.log.warning(
          "node-moved",
          `whether load balancers still send traffic to nodes in hand could not be asked; it is tried again: ${messageOf(error)}`,
        );
      this.failure = messageOf(error);
      this.discoveredAt = undefined; // a target group may be gone
    }
    for (const [node, leaving] of waiting) this.checkDeadline(node, leaving);
  }

  /** What a node still waits for, in words; undefined when no load balancer sends it anything any more. */
  waitingFor(node: string): string | undefined {
    const leaving = this.leaving.get(node) ?? this.begin(node);
    if (leaving === undefined) return undefined;
    const seconds = Math.round((this.run.clock.now() - leaving.since) / 1000);
    if (leaving.left === undefined)
      return `it is not known yet whether load balancers still send traffic to its instance ${leaving.instance} (for ${seconds} s)${
        this.failure === undefined ? "" : `: ${this.failure}`
      }`;
    const [first] = leaving.left;
    if (first === undefined) return undefined;
    const [{ name, delaySeconds }, state] = first;
    const more = leaving.left.size > 1 ? ` and in ${leaving.left.size - 1} more` : "";
    return `its instance ${leaving.instance} is ${state} in target group ${name}${more}, ${seconds} s after the node was labelled (deregistration delay ${delaySeconds} s)`;
  }

  /** The nodes in hand that have the label by now. */
  private notice(): void {
    for (const [node, { phase }] of Object.entries(this.run.state.record.nodes))
      if (phase === "in-hand" && !this.leaving.has(node)) this.begin(node);
    for (const node of this.leaving.keys())
      if (this.run.inventory.get("Node", node) === undefined) this.leaving.delete(node); // lost, and its instance with it
  }

  private begin(name: string): Leaving | undefined {
    const node = this.run.inventory.get("Node", name);
    const instance = node && instanceId(node);
    if (instance === undefined || node?.metadata.labels?.[LABEL_EXCLUDE_LB] === undefined) return undefined;
    const leaving: Leaving = { instance, since: this.run.clock.now(), left: undefined };
    this.leaving.set(name, leaving);
    return leaving;
  }

  /** Which target groups hold instances of blue, apart from Auto Scaling's own doing. */
  private async discover(inHand: readonly string[]): Promise<void> {
    const { cloud, clock } = this.run;
    const all = await cloud.targetGroups();
    if (all.length > 0) {
      const { blue } = await poolGroups(this.run);
      this.attached = new Map(
        blue.flatMap(({ instances, targetGroupArns }) =>
          instances.map(({ id }) => [id, new Set(targetGroupArns)] as const),
        ),
      );
      const ours = [...new Set([...this.attached.keys(), ...inHand])];
      const health = await cloud.targetHealth(all.map(({ arn }) => arn));
      const found = all.filter(({ arn }) =>
        ours.some((id) => this.attached.get(id)?.has(arn) !== true && SERVES(health.get(arn)?.get(id))),
      );
      const delays = await cloud.deregistrationDelays(found.map(({ arn }) => arn));
      this.serving = found.map((group) => ({
        ...group,
        delaySeconds: delays.get(group.arn) ?? USUAL_DELAY_SECONDS,
      }));
    } else this.serving = [];
    this.discoveredAt = clock.now();
  }

  private async ask(waiting: readonly Leaving[]): Promise<void> {
    const { serving, attached } = this;
    const health =
      serving.length === 0
        ? new Map<string, Map<string, string>>()
        : await this.run.cloud.targetHealth(serving.map(({ arn }) => arn));
    for (const leaving of waiting) {
      const { instance } = leaving;
      leaving.left = new Map(
        serving.flatMap((group) => {
          const state = health.get(group.arn)?.get(instance);
          return SERVES(state) && attached.get(instance)?.has(group.arn) !== true
            ? [[group, state] as const]
            : [];
        }),
      );
    }
  }

  private checkDeadline(node: string, { instance, since, left }: Leaving): void {
    const seconds = Math.round((this.run.clock.now() - since) / 1000);
    if (left === undefined) {
      if (seconds <= USUAL_DELAY_SECONDS + SLACK_SECONDS) return;
      throw new Hold(
        `whether load balancers still send traffic to instance ${instance} of node ${node} could not be asked for ${seconds} s: ` +
          `${this.failure ?? "no answer"} To go on: mend that, then run \`pulumi up\` again.`,
      );
    }
    for (const [{ name, arn, delaySeconds }, state] of left) {
      if (seconds <= delaySeconds + SLACK_SECONDS) continue;
      throw new Hold(
        `Instance ${instance} of node ${node} is still ${state} in target group ${name} (${arn}), ${seconds} s after the node was given the label ${LABEL_EXCLUDE_LB}; ` +
          `its deregistration delay is ${delaySeconds} s. To go on: look at what has registered it (the log of the load balancer controller, its TargetGroupBinding); ` +
          `what no controller looks after, deregister yourself; then run \`pulumi up\` again.`,
      );
    }
  }
}
