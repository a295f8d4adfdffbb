import type { CloudFacts } from "../cloud/facts.ts";
import { count, type Finding, type ObjectRef } from "../finding.ts";
import { wantedSizes } from "../sizes.ts";
import { isGreen, zoneOf } from "../target.ts";
import type { GreenSpec } from "../targets.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding } from "./rules.ts";

/**
 * Whether the cloud will give what green is made of, asked before anything is created (issue 4). Only what is still to be made counts:
 * a run that goes on finds its groups and nodes there.
 */
export function cloud(scene: Scene): Finding[] {
  const { green, cloud: facts } = scene;
  if (green === undefined) return [];
  const wanted = stillToMake(scene, green, facts);
  const judged =
    facts === undefined
      ? []
      : [
          ...vcpuQuota(scene, green, facts, wanted),
          ...subnetAddresses(scene, facts, wanted),
          ...groupQuota(scene, green, facts),
          ...zonesOffer(scene, green, facts, wanted),
          ...notJudged(scene, facts, wanted),
        ];
  return [...judged, ...spot(scene, green, wanted)];
}

/** Nodes that are still to be made in a zone. */
interface Wanted {
  zone: string;
  subnet: string;
  nodes: number;
}

/**
 * The least: of left-over generations the largest counts (sizes.ts), nodes that run or start already are taken off. A block must not
 * come from a number that the Gate would not ask for.
 */
function stillToMake(
  { blue, picture, target }: Scene,
  green: GreenSpec,
  facts: CloudFacts | undefined,
): Wanted[] {
  const sizes = wantedSizes(green, blue, true);
  const nodes = picture.all("Node").filter((node) => isGreen(target, node));
  return green.zones
    .map(({ zone, subnet }) => {
      const joined = nodes.filter((node) => zoneOf(node) === zone).length;
      const there = Math.max(joined, facts?.launched?.get(zone) ?? 0);
      return { zone, subnet, nodes: Math.max(0, (sizes[zone] ?? 0) - there) };
    })
    .filter((it) => it.nodes > 0);
}

const poolOf = ({ target }: Scene): ObjectRef => ({ kind: "Pool", name: target.pool });
const sum = (wanted: readonly Wanted[]): number => wanted.reduce((all, { nodes }) => all + nodes, 0);

/** By the smallest of the instance types: the cloud may choose it. */
function vcpuQuota(scene: Scene, green: GreenSpec, facts: CloudFacts, wanted: Wanted[]): Finding[] {
  const { vcpus, instanceTypes } = facts;
  const offers = green.instanceTypes.map((type) => instanceTypes?.get(type)?.vcpus ?? 0);
  const each = Math.min(...offers);
  // a type without a size: nobody knows what it takes
  if (vcpus === undefined || offers.length === 0 || each <= 0) return [];
  const nodes = sum(wanted);
  const needed = nodes * each;
  const free = Math.max(0, vcpus.quota - vcpus.used);
  if (needed <= free) return [];
  const atLeast = offers.length > 1 ? "at least " : "";
  const raise =
    vcpus.code === undefined
      ? `ask AWS for ${vcpus.used + needed} vCPUs (Service Quotas, Amazon EC2)`
      : `ask AWS for more: \`aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${vcpus.code} --desired-value ${vcpus.used + needed}\``;
  return [
    finding(
      "vcpu-quota",
      poolOf(scene),
      `green needs ${atLeast}${needed} vCPUs beside blue (${count(nodes, "node")} with ${each}), and the quota "${vcpus.name}" has ${free} left (${vcpus.used} of ${vcpus.quota} are in use)`,
      `${raise}, or stop instances that nobody needs`,
    ),
  ];
}

/** Addresses that a new node will not do with for long: its own, those of its DaemonSets' pods, the first that move there. */
const RESERVE = 5;

/**
 * A node takes one address at least, whatever gives its pods theirs: fewer than that blocks. How many its pods take depends on the CNI
 * (prefixes, subnets of their own, overlays), so what is more is a warning: fewer than a small reserve, or, where the VPC CNI runs
 * (DaemonSet kube-system/aws-node), fewer than the pods that move need, who keep their old addresses until they are gone.
 */
function subnetAddresses(scene: Scene, { freeAddresses }: CloudFacts, wanted: Wanted[]): Finding[] {
  const vpcCni = scene.picture.get("DaemonSet", "aws-node", "kube-system") !== undefined;
  return [...Map.groupBy(wanted, ({ subnet }) => subnet)].flatMap(([subnet, of]) => {
    const free = freeAddresses?.get(subnet);
    if (free === undefined) return [];
    const nodes = sum(of);
    const zones = of.map(({ zone }) => zone);
    const object = { kind: "Subnet", name: subnet };
    const where = listing(zones);
    const look = `\`aws ec2 describe-subnets --subnet-ids ${subnet}\``;
    if (free < nodes) {
      return [
        finding(
          "subnet-addresses",
          object,
          `it has ${free} free ${free === 1 ? "address" : "addresses"}, and green makes ${count(nodes, "node")} in it (${where})`,
          `free addresses (${look}), or give pool ${scene.target.pool} another subnet of ${where} in patchguard:pools[].zones`,
        ),
      ];
    }
    const names = new Set(
      scene.blue.filter((node) => zones.includes(zoneOf(node))).map(({ metadata }) => metadata.name),
    );
    const pods = scene.moving.filter(
      ({ spec }) => names.has(spec?.nodeName ?? "") && spec?.hostNetwork !== true,
    ).length;
    if (free >= Math.max(nodes * RESERVE, vpcCni ? nodes + pods : 0)) return [];
    return [
      finding(
        "subnet-nearly-full",
        object,
        `it has ${free} free ${free === 1 ? "address" : "addresses"}, and green makes ${count(nodes, "node")} in it (${where}), with ${count(pods, "pod")} that may move there while blue still holds their addresses`,
        `free addresses (${look}), or go on if pods get theirs elsewhere (an overlay, prefixes, a subnet of their own)`,
      ),
    ];
  });
}

/** Auto Scaling groups alone are no node groups of EKS. */
function groupQuota(scene: Scene, green: GreenSpec, { groups }: CloudFacts): Finding[] {
  if (green.kind !== "eks-managed" || groups === undefined) return [];
  const { target, picture } = scene;
  const zonesMade = new Set(
    picture
      .all("Node")
      .filter((node) => isGreen(target, node))
      .map(zoneOf),
  );
  const made = new Set(groups.made);
  const more = target.groups.filter(({ name, zone }) => !made.has(name) && !zonesMade.has(zone)).length;
  if (more === 0 || groups.used + more <= groups.quota) return [];
  return [
    finding(
      "group-quota",
      poolOf(scene),
      `green is ${count(more, "node group")} more, and the cluster has ${groups.used} of the ${groups.quota} that it may have`,
      `delete node groups that nobody needs, or ask AWS for ${groups.used + more}: \`aws service-quotas request-service-quota-increase --service-code eks --quota-code L-6D54EA21 --desired-value ${groups.used + more}\``,
    ),
  ];
}

/** `us-east-1a`; local and wavelength zones (`us-east-1-bos-1a`) list their types in another way. */
const ZONE = /^[a-z]+(-[a-z]+)+-\d+[a-z]$/;

function zonesOffer(
  scene: Scene,
  green: GreenSpec,
  { instanceTypes }: CloudFacts,
  wanted: Wanted[],
): Finding[] {
  if (instanceTypes === undefined || green.instanceTypes.length === 0) return [];
  const offers = green.instanceTypes.map((type) => instanceTypes.get(type));
  if (offers.some((offer) => offer !== undefined && offer.zones === undefined)) return [];
  const without = wanted
    .map(({ zone }) => zone)
    .filter((zone) => ZONE.test(zone) && !offers.some((offer) => offer?.zones?.includes(zone)));
  if (without.length === 0) return [];
  const types = listing(green.instanceTypes);
  const [first = ""] = green.instanceTypes;
  return [
    finding(
      "instance-type-zone",
      poolOf(scene),
      green.instanceTypes.length === 1
        ? `${listing(without)} does not offer ${types}`
        : `${listing(without)} offers none of ${types}`,
      `add an instance type that is offered there to patchguard:pools[].instanceTypes, or leave the zone out: \`aws ec2 describe-instance-type-offerings --location-type availability-zone --filters Name=instance-type,Values=${first}\` lists zones`,
    ),
  ];
}

function notJudged(scene: Scene, { notAsked }: CloudFacts, wanted: Wanted[]): Finding[] {
  if (notAsked.length === 0 || wanted.length === 0) return [];
  return [
    finding(
      "cloud-not-judged",
      poolOf(scene),
      listing(
        notAsked.map((text) => text.replace(/\.$/, "")),
        6,
        "; ",
      ),
      "allow the calls (docs/permissions.md), or compare the account's limits with what green needs yourself",
    ),
  ];
}

/** Spot capacity is not promised: it may not come, and what came may go while pods move to it. */
function spot(scene: Scene, green: GreenSpec, wanted: Wanted[]): Finding[] {
  if (green.capacityType !== "SPOT" || wanted.length === 0) return [];
  const nodes = count(sum(wanted), "Spot node");
  const [only, ...more] = green.instanceTypes;
  return [
    finding(
      "capacity-spot",
      poolOf(scene),
      more.length === 0
        ? `green needs ${nodes} beside blue's, all of ${only}: AWS may not have them, or take them back in the middle of the handover`
        : `green needs ${nodes} beside blue's: AWS may not have them, or take them back in the middle of the handover`,
      more.length === 0
        ? "name several instance types in patchguard:pools[].instanceTypes; if green does not come, the run stops before anything has moved"
        : "go on; if green does not come, the run stops before anything has moved",
    ),
  ];
}
