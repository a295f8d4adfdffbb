import type { Node, PersistentVolume, PersistentVolumeClaim } from "../cluster/types.ts";
import type { Picture } from "../picture.ts";
import { matches } from "../selectors.ts";
import { matchesTerms } from "./node-rules.ts";
import { parseQuantity } from "./quantities.ts";

/**
 * Volumes that stand ready and that a waiting claim would be bound to on a node, smallest claim and smallest volume first, each volume
 * once. A claim that is not in the answer needs a new volume.
 */
export function matchingVolumes(
  claims: readonly PersistentVolumeClaim[],
  node: Node,
  picture: Picture,
): Map<PersistentVolumeClaim, PersistentVolume> {
  const taken = new Map<PersistentVolumeClaim, PersistentVolume>();
  const free = volumesByClass(picture);
  for (const claim of claims.toSorted((a, b) => compare(sizeOf(a), sizeOf(b)))) {
    const candidates = free.get(className(claim)) ?? [];
    const used = new Set(taken.values());
    const own = candidates.find((volume) => isFor(volume, claim));
    const fits = (volume: PersistentVolume): boolean => !used.has(volume) && serves(volume, claim, node);
    const found =
      own === undefined
        ? candidates.find((volume) => volume.spec?.claimRef === undefined && fits(volume))
        : fits(own)
          ? own
          : undefined;
    if (found) taken.set(claim, found);
  }
  return taken;
}

const cache = new WeakMap<Picture, Map<string, PersistentVolume[]>>();

/** Volumes that no claim holds, or that wait for one, smallest first. A picture does not change while it is judged. */
function volumesByClass(picture: Picture): Map<string, PersistentVolume[]> {
  const known = cache.get(picture);
  if (known) return known;
  const free = picture
    .all("PersistentVolume")
    .filter(
      ({ status, metadata }) => metadata.deletionTimestamp === undefined && status?.phase === "Available",
    )
    .toSorted((a, b) => compare(capacityOf(a), capacityOf(b)));
  const byClass = Map.groupBy(free, ({ spec }) => spec?.storageClassName ?? "");
  cache.set(picture, byClass);
  return byClass;
}

const className = ({ metadata, spec }: PersistentVolumeClaim): string =>
  metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec?.storageClassName ?? "";
const sizeOf = ({ spec }: PersistentVolumeClaim): bigint =>
  parseQuantity(spec?.resources?.requests?.["storage"] ?? "0");
const capacityOf = ({ spec }: PersistentVolume): bigint => parseQuantity(spec?.capacity?.["storage"] ?? "0");
const compare = (a: bigint, b: bigint): number => (a < b ? -1 : a > b ? 1 : 0);

const isFor = ({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean =>
  spec?.claimRef?.name === metadata.name && spec.claimRef.namespace === metadata.namespace;

function serves(volume: PersistentVolume, claim: PersistentVolumeClaim, node: Node): boolean {
  const { spec = {}, metadata } = volume;
  const wanted = claim.spec ?? {};
  if (capacityOf(volume) < sizeOf(claim)) return false;
  if ((spec.volumeMode ?? "Filesystem") !== (wanted.volumeMode ?? "Filesystem")) return false;
  if (!(wanted.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode))) return false;
  if (wanted.selector !== undefined && !matches(wanted.selector, metadata.labels)) return false;
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || matchesTerms(terms, node);
}
