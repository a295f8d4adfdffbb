import type { Cluster } from "../cluster/cluster.ts";
import { messageOf } from "../errors.ts";
import type { RunLog } from "../log.ts";
import type { Cause } from "./alert.ts";
import { changeOpen, type OpenAlert } from "./open.ts";

/** The alerts that this run knows to be open, and their copy in the cluster, which other runs write, too. Nothing in here throws. */
export class Ledger {
  private readonly world: { cluster: Cluster; log: RunLog; pool: string };
  private readonly open: Map<string, OpenAlert>;
  /** What is to be written down, by key; undefined: no longer open. */
  private changes = new Map<string, OpenAlert | undefined>();
  private onLeft: ((cause: Cause) => void) | undefined;
  private saving: Promise<void> = Promise.resolve();
  private unsaved = false;
  private writing = false;

  /** @param open what earlier runs left open */
  constructor(world: { cluster: Cluster; log: RunLog; pool: string }, open: Map<string, OpenAlert>) {
    this.world = world;
    this.open = open;
  }

  get(key: string): OpenAlert | undefined {
    return this.open.get(key);
  }

  all(): [string, OpenAlert][] {
    return [...this.open];
  }

  set(key: string, alert: OpenAlert): void {
    this.open.set(key, alert);
    this.changed(key, alert);
  }

  delete(key: string): void {
    this.open.delete(key);
    this.changed(key, undefined);
  }

  /** Nothing of the pool is open any more. @param onLeft is given what a run that was refused meanwhile has left, unknown to this one */
  end(onLeft: (cause: Cause) => void): void {
    this.onLeft = onLeft;
    this.save();
  }

  /** What has changed until now is written down, or was told to be lost. */
  saved(): Promise<void> {
    return this.saving;
  }

  /** The end: what is still being written may be lost. */
  close(): void {
    if (this.unsaved || this.writing) this.lost("the API server did not answer before the run ended");
  }

  private changed(key: string, alert: OpenAlert | undefined): void {
    this.changes.set(key, alert);
    this.save();
  }

  /** One write at a time, of all that has changed; what a write could not do is tried again with the next change. */
  private save(): void {
    if (this.unsaved) return;
    this.unsaved = true;
    this.saving = this.saving.then(async () => {
      this.unsaved = false;
      const changes = this.changes;
      this.changes = new Map();
      this.writing = true;
      try {
        await this.write(changes);
      } catch (error) {
        this.changes = new Map([...changes, ...this.changes]);
        this.lost(messageOf(error));
      }
      this.writing = false;
    });
  }

  private lost(why: string): void {
    this.world.log.warning(
      "alert-lost",
      `which alerts are open was not written down, so a later run may not resolve them: ${why}`,
    );
  }

  private async write(changes: ReadonlyMap<string, OpenAlert | undefined>): Promise<void> {
    const { onLeft } = this;
    let left: OpenAlert[] = [];
    await changeOpen(this.world.cluster, this.world.pool, (stored) => {
      for (const [key, alert] of changes) {
        stored.delete(key); // the order is that of the changes
        if (alert !== undefined) stored.set(key, alert);
      }
      if (onLeft === undefined) return;
      left = [...stored.values()];
      stored.clear();
    });
    for (const { cause } of left) onLeft?.(cause);
  }
}
