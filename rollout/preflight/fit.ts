import { count, type Finding, nameOf } from "../finding.ts";
import type { Stranded } from "../fit/packing.ts";
import { type Fit, fitsAtMost, type FitQuestion, simulate } from "../fit/simulate.ts";
import type { StopRule } from "../fit/stop.ts";
import { mainRule, summary } from "../fit/summary.ts";
import { type Picture } from "../picture.ts";
import { podName } from "../pods.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding } from "./rules.ts";
import { topOwners, type TopOwner } from "./top-owner.ts";
import { volumeKind } from "./volume-kind.ts";

/** Would every pod that moves find a node once blue is closed? */
export function fit(scene: Scene): Finding[] {
  const { green } = scene;
  if (green === undefined) {
    const why = "what green is made of is not known here, so nobody asked whether the pods will fit";
    return [notJudged(scene, why, "run `npm run preflight`, which reads it from the config")];
  }
  const question: FitQuestion = { ...scene, green };
  const result = simulate(question);
  const stranded = result.stranded.filter((it) => !saidOfItsVolume(it, scene.picture));
  const left = leftOut(scene, result);
  if (stranded.length === 0) return left;
  const grows = runsAutoscaler(scene.picture) && stranded.every(byCount) && fitsAtMost(question);
  if (grows) {
    const names = listing(stranded.map(({ move }) => podName(move.old.pod)));
    const why = `${count(stranded.length, "pod")} (${names}) will wait until the cluster autoscaler has added green nodes: what green begins with has no room for them`;
    return [...left, notJudged(scene, why, `begin with more nodes: ${sizesOf(scene)}`)];
  }
  return [
    ...left,
    ...topOwners(
      scene.picture,
      stranded.map(({ move }) => move.old.pod),
    ).map((owner) => judged(scene, result, owner, stranded)),
  ];
}

/** More nodes of the kind would do. */
const byCount = (it: Stranded): boolean =>
  it.stops.green.some(
    ({ rule }) => rule === "resources" || rule === "pods" || rule === "attach-limit" || rule === "host-port",
  );

/** The rules of volumes have said already that green has no node where the volume is. */
const saidOfItsVolume = ({ stops, move }: Stranded, picture: Picture): boolean =>
  stops.green.every(({ rule }) => rule === "volume-topology") &&
  (move.new.pod.spec?.volumes ?? []).some(({ persistentVolumeClaim: claim }) => {
    const { namespace } = move.new.pod.metadata;
    const bound = claim && picture.get("PersistentVolumeClaim", claim.claimName, namespace)?.spec?.volumeName;
    const volume = bound === undefined ? undefined : picture.get("PersistentVolume", bound);
    return volume !== undefined && ["local", "zonal", "regional"].includes(volumeKind(volume).kind);
  });

function judged(
  scene: Scene,
  { green, others }: Fit,
  owner: TopOwner,
  stranded: readonly Stranded[],
): Finding {
  const mine = stranded.filter(({ move }) => owner.pods.includes(move.old.pod));
  const stuck = mine.find(({ deadlock }) => deadlock);
  const first = stuck ?? mine[0];
  const pod = first === undefined ? "" : podName(first.move.old.pod);
  const more = mine.length > 1 ? ` and ${mine.length - 1} more of its pods` : "";
  const why = first === undefined ? "" : summary(first, green, others);
  if (stuck !== undefined) {
    return finding(
      "spread-deadlock",
      owner,
      `the drain would wait forever for pod ${pod}${more}: its hard topology spread over ${spreadKey(stuck)} counts the closed blue nodes as empty domains (nodeTaintsPolicy is not Honor), so ${why}`,
      honor(owner, stuck),
    );
  }
  return finding(
    "does-not-fit",
    owner,
    `pod ${pod}${more} would find no node once blue is closed: ${why}`,
    fixOf(first === undefined ? undefined : mainRule(first), scene, owner),
  );
}

const spreadKey = ({ stops }: Stranded): string =>
  stops.green.find(({ rule }) => rule === "spread")?.topologyKey ?? "kubernetes.io/hostname";

const PATCHED = new Set(["Deployment", "StatefulSet"]);

/** All hard constraints of the pod's template that count closed nodes. */
function honor({ kind, namespace, name }: TopOwner, { move }: Stranded): string {
  const patches = (move.new.pod.spec?.topologySpreadConstraints ?? []).flatMap((it, index) =>
    it.whenUnsatisfiable === "DoNotSchedule" && it.nodeTaintsPolicy !== "Honor"
      ? [
          {
            op: "add",
            path: `/spec/template/spec/topologySpreadConstraints/${index}/nodeTaintsPolicy`,
            value: "Honor",
          },
        ]
      : [],
  );
  const what = "set nodeTaintsPolicy: Honor in its topologySpreadConstraints";
  return PATCHED.has(kind)
    ? `${what}: \`kubectl -n ${namespace} patch ${kind.toLowerCase()} ${name} --type json -p '${JSON.stringify(patches)}'\``
    : `${what} (${kind} ${namespace}/${name})`;
}

const sizesOf = ({ target }: Scene): string =>
  `raise size.desired (or size.min) in patchguard:pools[] of pool ${target.pool}`;

function fixOf(rule: StopRule | undefined, scene: Scene, owner: TopOwner): string {
  const pool = `patchguard:pools[] of pool ${scene.target.pool}`;
  const name = nameOf(owner);
  switch (rule) {
    case "taint":
      return `give ${name} a toleration for the taint, or take the taint out of taints in ${pool}`;
    case "node-affinity":
    case "node-name":
      return `add the label to labels in ${pool}, or take it out of the nodeSelector or node affinity of ${name}`;
    case "resources":
      return `${sizesOf(scene)}, choose a larger type in its instanceTypes, or lower the requests of ${name}`;
    case "pods":
      return `${sizesOf(scene)}, or raise its maxPods`;
    case "attach-limit":
      return `${sizesOf(scene)}, or choose an instance type that takes more volumes`;
    case "host-port":
      return `${sizesOf(scene)} so that each pod finds a node where the port is free, or take the hostPort out of ${name}`;
    case "pod-anti-affinity":
      return `give green a node in each of the domains that ${name} needs (size and zones in ${pool}), or make the anti-affinity preferred`;
    case "pod-affinity":
      return `see to it that the pods that ${name} wants to be near can run on green, or make the affinity preferred`;
    case "spread":
      return `give green nodes in as many domains as blue has (size and zones in ${pool}), or raise maxSkew of ${name}`;
    case "claim":
      return `mend it before the pod moves: \`kubectl -n ${owner.namespace} describe pvc\` shows its claims; one that is being deleted takes its data with it as soon as the pod goes, so save that first`;
    case "volume-topology":
    case "volume-in-use":
      return `\`kubectl -n ${owner.namespace} describe pvc\` shows its claims; give green nodes where their volumes are (zones in ${pool})`;
    case "scheduling-gate":
    case "unschedulable":
      return `\`kubectl get nodes\` shows what is closed; open a node for it`;
    case undefined:
      return `give green at least one node: ${sizesOf(scene)}`;
  }
}

const AUTOSCALER = /cluster-autoscaler/;

const runsAutoscaler = (picture: Picture): boolean =>
  picture
    .all("Deployment")
    .some(
      ({ spec }) =>
        (spec?.replicas ?? 1) > 0 &&
        spec?.template?.spec?.containers?.some(({ image = "", command = [] }) =>
          AUTOSCALER.test(`${image} ${command.join(" ")}`),
        ) === true,
    );

/** What the answer leaves out, in one warning. */
function leftOut(scene: Scene, { unknown, notes, only }: Fit): Finding[] {
  const parts = [...notes];
  if (only === "mixed") parts.push("all pods fit only if green gets the same mix of node sizes as blue");
  const owners = topOwners(
    scene.picture,
    unknown.map(({ pod }) => pod),
  ).map((owner) => {
    const why = unknown.find(({ pod }) => owner.pods.includes(pod))?.why ?? [];
    return `${nameOf(owner)} (${listing(why, 1)})`;
  });
  if (owners.length > 0)
    parts.push(`not all that decides about these is simulated: ${listing(owners.toSorted())}`);
  if (parts.length === 0) return [];
  return [notJudged(scene, parts.join("; "), "see for yourself that these pods will find a node on green")];
}

const notJudged = ({ target }: Scene, why: string, fix: string): Finding =>
  finding("fit-not-judged", { kind: "Pool", name: target.pool }, why, fix);
