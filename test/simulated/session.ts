import type { Clock } from "../../rollout/clock.ts";
import { ApiError } from "../../rollout/cluster/cluster.ts";
import { CloudError } from "../../rollout/cloud/cloud.ts";
import type { VirtualClock } from "./clock.ts";
import type { Random } from "./random.ts";

/** What goes wrong between a client and its servers. Probabilities from 0 to 1, per call. */
export interface Faults {
  /** 429 without a cause: the API server is busy. */
  throttle?: number;
  /** 500 of the kind that passes. */
  serverError?: number;
  /** No answer, and the call did not arrive. */
  lost?: number;
  /** No answer, although the call arrived and was carried out. */
  answerLost?: number;
  /** 409 on a write, though nobody changed the object. */
  conflict?: number;
  /** The cloud throttles or fails. */
  cloud?: number;
}

export interface SessionOptions {
  /** The n-th write succeeds; then the client is dead, as after SIGKILL. Counted from 1. */
  crashAfterWrite?: number;
  faults?: Faults;
  /** Milliseconds that a call travels each way. */
  latency?: { low: number; high: number };
}

/** The client was killed. Nothing that it does from now on reaches anybody. */
export class SimulatedCrash extends Error {
  constructor(client: string, write: number) {
    super(`client ${client} was killed after its write ${write}`);
    this.name = "SimulatedCrash";
  }
}

/** After this many calls of a dead client its calls are not even answered: a loop that ignores errors must come to an end. */
const ANSWERS_TO_THE_DEAD = 1000;

/** One process of PatchGuard: its calls to both ports go through here, are counted, delayed, failed and, once, cut off. */
export class Session {
  readonly name: string;
  readonly clock: Clock;
  /** Rejects with SimulatedCrash when the client is killed; race it against what the client does. */
  readonly crashed: Promise<never>;
  writes = 0;
  calls = 0;
  /** What the writes were, in order: `7 patch Node blue-1`. */
  readonly written: string[] = [];
  private readonly world: VirtualClock;
  private readonly random: Random;
  private readonly options: SessionOptions;
  /** When it was killed. */
  diedAt: number | undefined;
  private crash: SimulatedCrash | undefined;
  private afterDeath = 0;
  private reject: (reason: SimulatedCrash) => void = () => undefined;

  constructor(name: string, world: VirtualClock, random: Random, options: SessionOptions = {}) {
    this.name = name;
    this.world = world;
    this.random = random;
    this.options = options;
    this.clock = world.for(name);
    this.crashed = new Promise((_, reject) => (this.reject = reject));
    this.crashed.catch(() => undefined); // nobody has to race
  }

  get dead(): boolean {
    return this.crash !== undefined;
  }

  /** SIGKILL. */
  kill(): void {
    if (this.crash) return;
    this.crash = new SimulatedCrash(this.name, this.writes);
    this.diedAt = this.world.now();
    this.world.kill(this.name);
    this.reject(this.crash);
  }

  /** A call that changes nothing. */
  async read<T>(what: string, act: () => T, to: "api" | "cloud" = "api"): Promise<T> {
    await this.travel();
    this.fail(what, to, false);
    const result = act();
    await this.travel();
    return result;
  }

  /**
   * A call that changes something. @param takes milliseconds that the server needs after the change before it answers.
   * @param signal ends the wait for that, not what was asked for.
   */
  async write<T>(
    what: string,
    act: () => T,
    to: "api" | "cloud" = "api",
    takes = 0,
    signal?: AbortSignal,
  ): Promise<T> {
    await this.travel();
    this.fail(what, to, true);
    const result = act(); // a refusal is no write: it throws here
    this.writes++;
    this.written.push(`${this.writes} ${what}`);
    if (this.writes === this.options.crashAfterWrite) {
      this.kill();
      throw this.crash as SimulatedCrash;
    }
    if (takes > 0) {
      await this.clock.sleep(takes, signal);
      signal?.throwIfAborted();
    }
    await this.travel();
    if (this.random.chance(this.options.faults?.answerLost ?? 0)) throw timedOut(what, to);
    return result;
  }

  private async travel(): Promise<void> {
    this.calls++;
    if (this.crash) {
      if (++this.afterDeath > ANSWERS_TO_THE_DEAD) await new Promise(() => undefined);
      throw this.crash;
    }
    const { low, high } = this.options.latency ?? { low: 1, high: 8 };
    await this.world.doze(this.random.between(low, high), "a call on its way");
    if (this.dead) throw this.crash as unknown as SimulatedCrash; // killed while the call travelled
  }

  private fail(what: string, to: "api" | "cloud", write: boolean): void {
    const { faults } = this.options;
    if (faults === undefined) return;
    if (to === "cloud") {
      if (this.random.chance(faults.cloud ?? 0))
        throw new CloudError("Throttling", `${what}: Rate exceeded. Try again.`);
      return;
    }
    if (this.random.chance(faults.throttle ?? 0)) {
      throw new ApiError(429, "TooManyRequests", `${what}: too many requests, please try again later`, {
        retryAfterSeconds: 1,
      });
    }
    if (this.random.chance(faults.serverError ?? 0))
      throw new ApiError(500, "InternalError", `${what}: etcdserver: leader changed`);
    if (this.random.chance(faults.lost ?? 0)) throw timedOut(what, to);
    if (write && this.random.chance(faults.conflict ?? 0))
      throw new ApiError(409, "Conflict", `${what}: the object has been modified`);
  }
}

const timedOut = (what: string, to: "api" | "cloud"): Error =>
  to === "cloud"
    ? new CloudError("TimeoutError", `${what}: no answer`)
    : new ApiError(0, "ETIMEDOUT", `${what}: no answer within the deadline`);
