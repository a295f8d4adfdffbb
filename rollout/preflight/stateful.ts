import type { Pod } from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { byName, isPodReady } from "../pods.ts";
import { type VolumeKind, volumeKind } from "./volume-kind.ts";

/** A StatefulSet as it stands, with where its data is. */
export interface StatefulFact {
  /** `namespace/name` */
  set: string;
  ready: number;
  wanted: number;
  /** Nodes that its pods are on. */
  nodes: string[];
  claims: ClaimFact[];
}

export interface ClaimFact {
  claim: string;
  /** Absent while no volume is bound. */
  volume?: string;
  place: VolumeKind["kind"] | "unbound";
  /** Of a zonal or regional volume; of a local one the nodes. */
  where?: string[];
}

/** Every StatefulSet of the cluster, by namespace and name. */
export const statefulFacts = (picture: Picture): StatefulFact[] =>
  picture
    .all("StatefulSet")
    .map(({ metadata: { namespace = "default", name, uid }, spec }) => {
      const pods = [...picture.podsOf(uid)].toSorted(byName);
      return {
        set: `${namespace}/${name}`,
        ready: pods.filter(isPodReady).length,
        wanted: spec?.replicas ?? 1,
        nodes: [...new Set(pods.flatMap((pod) => pod.spec?.nodeName ?? []))],
        claims: pods.flatMap((pod) => claimsOf(picture, pod, namespace)),
      };
    })
    .toSorted((a, b) => a.set.localeCompare(b.set));

const claimsOf = (picture: Picture, pod: Pod, namespace: string): ClaimFact[] =>
  (pod.spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: source }): ClaimFact[] => {
    if (source === undefined) return [];
    const claim = source.claimName;
    const name = picture.get("PersistentVolumeClaim", claim, namespace)?.spec?.volumeName;
    const volume = name === undefined ? undefined : picture.get("PersistentVolume", name);
    if (volume === undefined) return [{ claim, place: "unbound" }];
    const place = volumeKind(volume);
    const where = "zones" in place ? place.zones : "nodes" in place ? place.nodes : [];
    return [
      { claim, volume: volume.metadata.name, place: place.kind, ...(where.length === 0 ? {} : { where }) },
    ];
  });

/** `shop/db: 3 of 3 Ready; data-db-0 zonal (us-east-1a), data-db-1 zonal (us-east-1b)` */
export function statefulText({ set, ready, wanted, claims }: StatefulFact): string {
  const volumes = claims.map(({ claim, place, where }) => {
    const words = place === "unknown-zone" ? "zonal, zone unknown" : place;
    return `${claim} ${words}${where === undefined ? "" : ` (${where.join(", ")})`}`;
  });
  return `${set}: ${ready} of ${wanted} Ready${volumes.length === 0 ? ", no claims" : `; ${volumes.join(", ")}`}`;
}
