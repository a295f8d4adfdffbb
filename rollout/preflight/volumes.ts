import type { Node, PersistentVolume, PersistentVolumeClaim, Pod } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import { opened } from "../fit/green-nodes.ts";
import { matchesTerms, stopAtNode } from "../fit/node-rules.ts";
import type { Picture } from "../picture.ts";
import { isTerminating, judgePod, podName } from "../pods.ts";
import { isBlue, isGreen, isReady, zoneOf } from "../target.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";
import { volumeKind } from "./volume-kind.ts";

/** Claims that cannot follow their pods to green, and claims that wait for a volume. */
export function volumes(scene: Scene): Finding[] {
  const seen = new Set<string>();
  const found: Finding[] = [];
  const others = scene.picture
    .all("Node")
    .filter((node) => !isBlue(scene.target, node))
    .map((node) => (isGreen(scene.target, node) ? opened(node) : node))
    .filter((node) => node.spec?.unschedulable !== true);
  for (const pod of scene.moving) {
    if (isTerminating(pod) || judgePod(pod, scene.config.drain).action === "excluded") continue;
    for (const claim of claimsOf(scene.picture, pod)) {
      if (seen.has(claim.metadata.uid)) continue;
      seen.add(claim.metadata.uid);
      const volume = volumeOf(scene.picture, claim);
      if (volume !== undefined) found.push(...judge(scene, others, pod, claim, volume));
    }
  }
  return [...found, ...pending(scene)];
}

/** The claims that outlive the pod: one of a generic ephemeral volume goes with it, and its successor gets a new one. */
const claimsOf = (picture: Picture, { metadata, spec }: Pod): PersistentVolumeClaim[] =>
  (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) =>
    claim === undefined
      ? []
      : (picture.get("PersistentVolumeClaim", claim.claimName, metadata.namespace) ?? []),
  );

const volumeOf = (picture: Picture, { spec }: PersistentVolumeClaim): PersistentVolume | undefined =>
  spec?.volumeName === undefined || spec.volumeName === ""
    ? undefined
    : picture.get("PersistentVolume", spec.volumeName);

function judge(
  scene: Scene,
  others: readonly Node[],
  pod: Pod,
  claim: PersistentVolumeClaim,
  volume: PersistentVolume,
): Finding[] {
  const place = volumeKind(volume);
  const object = refOf("PersistentVolumeClaim", claim);
  const { name } = volume.metadata;
  const command = `kubectl -n ${claim.metadata.namespace}`;
  const may = (node: Node): boolean => stopAtNode(elsewhere(pod), node) === undefined;
  const reaches = (node: Node): boolean => reachable(volume, node);
  switch (place.kind) {
    case "local": {
      const stays = place.nodes.length > 0 && others.some((node) => reaches(node) && may(node));
      if (stays) return [];
      const where =
        place.nodes.length > 0
          ? `on the disk of node ${listing(place.nodes)}`
          : `a directory on the disk of node ${pod.spec?.nodeName} (hostPath, without node affinity)`;
      return [
        finding(
          "volume-local",
          object,
          `its volume ${name} is ${where}, so pod ${podName(pod)} would ${place.nodes.length > 0 ? "find no other node" : "start without its data elsewhere"}`,
          `if the application copies its data by itself: \`kubectl cordon ${pod.spec?.nodeName}\`, \`${command} delete pvc ${claim.metadata.name} --wait=false\` and \`${command} delete pod ${pod.metadata.name}\`, one replica after the other; else move the data to a volume that is not local, or move the pod yourself (rollout.drain.podSelector leaves it out, with rollout.drain.excludedPods: hold)`,
        ),
      ];
    }
    case "zonal":
    case "regional": {
      const { green } = scene;
      const made = others.filter((node) => isGreen(scene.target, node)).map(zoneOf);
      if (green === undefined && made.length === 0) return []; // nobody knows what green offers
      const offered = [
        ...new Set([...(green?.zones ?? []).filter(({ max }) => max > 0).map(({ zone }) => zone), ...made]),
      ].toSorted();
      const zones = [...place.zones, ...zonesReached(scene, volume)];
      if (offered.some((zone) => zones.includes(zone))) return [];
      if (others.some((node) => reaches(node) && isReady(node) && may(node))) return [];
      const [first, ...more] = place.zones;
      const where = more.length === 0 ? `zone ${first}` : `zones ${listing(place.zones)}`;
      const offers = offered.length === 0 ? "no zone" : listing(offered, 6);
      return [
        finding(
          "volume-zone",
          object,
          `its volume ${name} (${driverOf(volume)}) is in ${where} and cannot leave; green offers ${offers}, and no other node there takes pod ${podName(pod)}`,
          `add a subnet of ${first} to patchguard:pools[].zones of pool ${scene.target.pool}, or restore the volume from a snapshot in a zone of green`,
        ),
      ];
    }
    case "unknown-zone":
      return [
        finding(
          "volume-unknown-zone",
          object,
          `its volume ${name} (${driverOf(volume)}) is in one zone, and nothing on it says in which, so nobody knows whether pod ${podName(pod)} can use it on green`,
          `give the PersistentVolume a node affinity for its zone, or see that green has nodes in it: \`kubectl get pv ${name} -o yaml\` names the disk`,
        ),
      ];
    case "anywhere":
    case "labels": // the simulation of the fit goes by them
      return [];
  }
}

/** The pod as it would be scheduled anew. */
const elsewhere = (pod: Pod): Pod => ({ ...pod, spec: { ...pod.spec, nodeName: undefined } });

/** The node may use the volume, by its node affinity or, in volumes of old, by its labels. */
function reachable(volume: PersistentVolume, node: Node): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
  if (terms !== undefined) return matchesTerms(terms, node);
  const place = volumeKind(volume);
  return (place.kind === "zonal" || place.kind === "regional") && place.zones.includes(zoneOf(node));
}

/** A driver may name zones in its own way (Azure: `eastus-1`, EBS: zone ids): the nodes that the volume reaches now translate. */
const zonesReached = ({ blue }: Scene, volume: PersistentVolume): string[] => [
  ...new Set(
    blue
      .filter((node) => reachable(volume, node))
      .map(zoneOf)
      .filter((zone) => zone !== ""),
  ),
];

function driverOf({ spec = {} }: PersistentVolume): string {
  if (spec.csi !== undefined) return spec.csi.driver;
  if (spec.awsElasticBlockStore !== undefined) return "EBS";
  if (spec.azureDisk !== undefined) return "Azure Disk";
  return spec.gcePersistentDisk === undefined ? (spec.storageClassName ?? "unknown driver") : "GCE disk";
}

/** A claim of a class that binds late is Pending until a pod wants it; nobody needs to know of that. */
const LATE_SECONDS = 120;

function pending({ picture, now }: Scene): Finding[] {
  const classesUnread = picture.unread.some(({ kind }) => kind === "StorageClass");
  const waiting = picture
    .all("PersistentVolumeClaim")
    .filter(({ metadata, status }) => {
      if (status?.phase !== "Pending" && status?.phase !== "Lost") return false;
      const since = metadata.creationTimestamp;
      return since === undefined || now - Date.parse(since) >= LATE_SECONDS * 1000;
    })
    .toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  return waiting.flatMap((claim) => {
    const { name, namespace = "default" } = claim.metadata;
    const user = picture
      .podsIn(namespace)
      .find(({ spec }) => spec?.volumes?.some((it) => it.persistentVolumeClaim?.claimName === name));
    const className = claim.spec?.storageClassName;
    const late =
      classesUnread ||
      (className !== undefined &&
        picture.get("StorageClass", className)?.volumeBindingMode === "WaitForFirstConsumer");
    if (user === undefined && (late || claim.status?.phase === "Lost")) return [];
    const lost = claim.status?.phase === "Lost";
    const where = className === undefined || className === "" ? "no class" : `class ${className}`;
    return [
      finding(
        "claim-pending",
        refOf("PersistentVolumeClaim", claim),
        `${lost ? `its volume ${claim.spec?.volumeName} is gone` : "no volume is bound to it"} (${where})${user === undefined ? "" : `, and pod ${podName(user)} waits for it`}`,
        `\`kubectl -n ${namespace} describe pvc ${name}\` has the provisioner's words`,
      ),
    ];
  });
}
