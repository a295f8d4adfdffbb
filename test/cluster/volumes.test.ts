/** Volumes that follow their pods: the real attach-detach controller, CSI objects, and a driver that the sandbox plays. */
import assert from "node:assert/strict";
import { Hold } from "../../rollout/errors.ts";
import { useSandbox } from "../support/sandbox.ts";
import { type Trap, useTraps } from "../support/traps.ts";
import { until } from "../support/until.ts";
import { type Manifest, spreadOverZones, statefulSet } from "../support/workloads.ts";
import type { Condition, KubeObject, Pod, VolumeAttachment } from "../watcher/objects.ts";
import { controllerOf, isReady, isTerminating, keyOf } from "../watcher/objects.ts";
import type { Watcher } from "../watcher/watcher.ts";

const ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"];
const ZONE = "topology.kubernetes.io/zone";

/** One moment of the API server's history. Versions count up over all kinds: what has the greater one came later. */
interface Moment {
  version: number;
  change: string;
  object: KubeObject;
}

/** What its watches have shown, in the order in which it happened. */
function history(watcher: Watcher): Moment[] {
  return watcher.recording
    .flatMap((it) =>
      it.type === "object"
        ? [{ version: Number(it.object.metadata.resourceVersion), change: it.change, object: it.object }]
        : [],
    )
    .toSorted((a, b) => a.version - b.version);
}

/** A pod's way from one node to another, and the versions at which its parts were done. */
interface Move {
  pod: string;
  set: string;
  began: number;
  /** When its successor was Ready, and which one that is. */
  ready: { version: number; pod: Pod };
  from: string;
  to: string;
  volume: string;
  detached: number;
  attached: number;
}

/** The moves of all StatefulSets' pods of the namespace, in the order of their beginnings. @throws where a part is missing */
function movesIn(watcher: Watcher, namespace: string): Move[] {
  const moments = history(watcher);
  const first = (what: string, test: (moment: Moment) => boolean): Moment => {
    const found = moments.find(test);
    assert.ok(found !== undefined, `the API server never showed that ${what}`);
    return found;
  };
  const ofPod = ({ object }: Moment, pod: Pod): boolean =>
    object.kind === "Pod" && keyOf(object) === keyOf(pod);
  const begun = new Map<string, { version: number; pod: Pod }>();
  for (const { version, object } of moments)
    if (object.kind === "Pod" && object.metadata.namespace === namespace && isTerminating(object))
      if (!begun.has(object.metadata.uid)) begun.set(object.metadata.uid, { version, pod: object });
  return [...begun.values()].map(({ version: began, pod }) => {
    const { name, uid } = pod.metadata;
    const ready = first(
      `${name} was Ready again`,
      (it) =>
        ofPod(it, pod) && it.version > began && it.object.metadata.uid !== uid && isReady(it.object as Pod),
    );
    const next = ready.object as Pod;
    const claim = `${namespace}/${pod.spec?.volumes?.find((it) => it.persistentVolumeClaim)?.persistentVolumeClaim?.claimName}`;
    const bound = first(
      `claim ${claim} has a volume`,
      ({ object }) =>
        object.kind === "PersistentVolumeClaim" &&
        keyOf(object) === claim &&
        object.spec?.volumeName !== undefined,
    );
    const volume = (bound.object as { spec: { volumeName: string } }).spec.volumeName;
    const [from, to] = [pod.spec?.nodeName ?? "", next.spec?.nodeName ?? ""];
    const attachment = (
      { object }: Moment,
      node: string,
      test: (it: VolumeAttachment) => boolean = () => true,
    ): boolean =>
      object.kind === "VolumeAttachment" &&
      object.spec?.source?.persistentVolumeName === volume &&
      object.spec.nodeName === node &&
      test(object);
    return {
      pod: name,
      set: controllerOf(pod)?.name ?? "",
      began,
      ready: { version: ready.version, pod: next },
      from,
      to,
      volume,
      detached: first(
        `${volume} was detached from ${from}`,
        (it) => it.change === "DELETED" && it.version > began && attachment(it, from),
      ).version,
      attached: first(
        `${volume} was attached to ${to}`,
        (it) => it.version > began && attachment(it, to, ({ status }) => status?.attached === true),
      ).version,
    };
  });
}

/** The zone that a volume is bound to. */
function zoneOfVolume(watcher: Watcher, name: string): string | undefined {
  const volume = history(watcher).find(
    ({ object }) => object.kind === "PersistentVolume" && object.metadata.name === name,
  )?.object as
    | {
        spec: {
          nodeAffinity: {
            required: { nodeSelectorTerms: { matchExpressions: { key: string; values: string[] }[] }[] };
          };
        };
      }
    | undefined;
  return volume?.spec.nodeAffinity.required.nodeSelectorTerms[0]?.matchExpressions.find(
    ({ key }) => key === ZONE,
  )?.values[0];
}

const readySince = (pod: Pod): number => {
  const conditions = (pod.status?.conditions ?? []) as (Condition & { lastTransitionTime?: string })[];
  return Date.parse(conditions.find(({ type }) => type === "Ready")?.lastTransitionTime ?? "");
};

describe("volumes that follow their pods", function () {
  this.timeout(4 * 60_000);
  const sandbox = useSandbox();
  const set = useTraps(sandbox);

  /** A pool with this many blue nodes in each zone, and one green one. */
  async function zonal(name: string, blue: number, zones = ZONES): Promise<Trap> {
    const trap = await set(name, 0);
    for (const zone of zones) await trap.addBlue(blue, { zone });
    return trap;
  }
  const addGreen = async (trap: Trap, zones = ZONES): Promise<void> => {
    for (const zone of zones) await trap.addGreen(1, { zone });
  };

  const withVolumes = ({ at }: Trap, name: string, replicas: number): Manifest =>
    statefulSet({ name, replicas, storage: "zonal", ...at, spec: spreadOverZones(name) });

  const attachmentsOf = (volume: string): VolumeAttachment[] =>
    sandbox()
      .view.attachments()
      .filter(({ spec }) => spec?.source?.persistentVolumeName === volume);

  it("one pod of a set at a time: the next when the volume is off the old node and on a green one of its zone", async () => {
    const trap = await zonal("handed-over", 2);
    await trap.put(withVolumes(trap, "ledger", 3), withVolumes(trap, "orders", 6));
    await addGreen(trap);
    const summary = await sandbox().watched(async (watcher) => {
      await trap.start({ drain: { maxParallel: "auto" } }).done;
      await watcher.settle();
      const moves = movesIn(watcher, trap.at.namespace);
      for (const { to, volume, pod } of moves) {
        const node = sandbox().view.get("Node", to);
        assert.ok(trap.green.includes(to), `${pod} is on ${to}`);
        assert.equal(node?.metadata.labels?.[ZONE], zoneOfVolume(watcher, volume), `${pod} on ${to}`);
      }
      const sets = Map.groupBy(moves, (move) => move.set);
      assert.deepEqual([...sets].map(([name, { length }]) => `${name} ${length}`).toSorted(), [
        "ledger 3",
        "orders 6",
      ]);
      for (const [, ofSet] of sets) {
        for (const [i, { pod, began }] of ofSet.entries()) {
          const last = ofSet[i - 1];
          if (last === undefined) continue;
          assert.ok(
            last.detached < began,
            `${last.volume} was still on ${last.from} when ${pod} was evicted`,
          );
          assert.ok(
            last.attached < began,
            `${last.volume} was not yet on ${last.to} when ${pod} was evicted`,
          );
          assert.ok(last.ready.version < began, `${last.pod} was not Ready again when ${pod} was evicted`);
        }
      }
      const [ledger = [], orders = []] = [sets.get("ledger"), sets.get("orders")];
      assert.ok(
        ledger.some((a) => orders.some((b) => a.began < b.ready.version && b.began < a.ready.version)),
        "pods of different sets move side by side",
      );
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 9 });
    assert.equal(summary.productWrites["volumeattachments"], undefined);
  });

  it("a volume that its old node does not let go: holds with volume, claim, node and since when, and forces nothing", async () => {
    const trap = await zonal("stuck", 2, ["us-east-1a"]);
    const { namespace: ns } = trap.at;
    await trap.put(withVolumes(trap, "db", 2));
    await addGreen(trap, ["us-east-1a"]);
    const [stuck] = trap.blue // the one that is moved first
      .flatMap((it) => trap.podsOn(it).toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name)));
    assert.ok(stuck !== undefined);
    const { name } = stuck.metadata;
    const node = stuck.spec?.nodeName ?? "";
    const volume = sandbox().view.get("PersistentVolumeClaim", `${ns}/data-${name}`)?.spec?.volumeName ?? "";
    const [attachment] = attachmentsOf(volume);
    assert.ok(attachment !== undefined);
    const path = `/apis/storage.k8s.io/v1/volumeattachments/${attachment.metadata.name}`;
    const finalizers = [...(attachment.metadata.finalizers ?? []), "test.dev/stuck"];
    await sandbox().test.api.request("PATCH", path, { metadata: { finalizers } });
    const summary = await sandbox().watched(async (watcher) => {
      await assert.rejects(trap.start({ drain: { volumeTimeoutSeconds: 10 } }).done, (error) => {
        assert.ok(error instanceof Hold, String(error));
        const words = [
          `^volume ${volume} of pod ${ns}/${name} is still attached to node ${node} `,
          `\\(claim ${ns}/data-${name}; VolumeAttachment ${attachment.metadata.name}, made ${attachment.metadata.creationTimestamp}, detaching since \\S+Z, held by finalizer test\\.dev/stuck\\) `,
          `after 10 s \\(rollout\\.drain\\.volumeTimeoutSeconds\\)\\. To go on: `,
        ];
        assert.match(error.message, new RegExp(words.join("")));
        return true;
      });
      await watcher.expectReopened();
      watcher.held();
      assert.deepEqual(
        attachmentsOf(volume).map(({ metadata }) => [
          metadata.uid,
          metadata.finalizers?.includes("test.dev/stuck"),
        ]),
        [[attachment.metadata.uid, true]],
        "it is as it was",
      );
      assert.equal(movesBegun(watcher, ns), 1, "no other pod was moved");
      const left = (attachmentsOf(volume)[0]?.metadata.finalizers ?? []).filter(
        (it) => it !== "test.dev/stuck",
      );
      await sandbox().test.api.request("PATCH", path, { metadata: { finalizers: left } });
      await trap.start().done;
      return trap.finished();
    });
    assert.deepEqual(summary.evictions, { patchguard: 2 });
    assert.equal(summary.productWrites["volumeattachments"], undefined);
    await until("both are on green", () =>
      trap.pods("db").every((pod) => isReady(pod) && trap.green.includes(pod.spec?.nodeName ?? "")),
    );
  });

  /** How many pods of the namespace have begun to end. */
  const movesBegun = (watcher: Watcher, namespace: string): number =>
    new Set(
      history(watcher).flatMap(({ object }) =>
        object.kind === "Pod" && object.metadata.namespace === namespace && isTerminating(object)
          ? [object.metadata.uid]
          : [],
      ),
    ).size;

  it("the next pod of a set is moved when the last one has been Ready for minReadySeconds", async () => {
    const minReadySeconds = 6;
    const trap = await zonal("min-ready", 1);
    const db = withVolumes(trap, "db", 3);
    await trap.put({ ...db, spec: { ...(db["spec"] as object), minReadySeconds } });
    await addGreen(trap);
    await sandbox().watched(async (watcher) => {
      await trap.start().done;
      await watcher.settle();
      const moves = movesIn(watcher, trap.at.namespace);
      assert.equal(moves.length, 3);
      const began = (version: number): number => {
        const { metadata } = history(watcher).find((it) => it.version === version)?.object ?? {};
        const grace = (metadata?.deletionGracePeriodSeconds ?? 0) * 1000;
        return Date.parse(metadata?.deletionTimestamp ?? "") - grace;
      };
      for (const [i, move] of moves.entries()) {
        const last = moves[i - 1];
        if (last === undefined) continue;
        const seconds = (began(move.began) - readySince(last.ready.pod)) / 1000;
        // the API server's times are whole seconds
        assert.ok(seconds > minReadySeconds - 1, `${move.pod} left ${seconds} s after ${last.pod} was Ready`);
      }
      return trap.finished();
    });
  });
});
