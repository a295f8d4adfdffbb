import type { Node } from "../cluster/types.ts";
import { count, type Finding, type ObjectRef } from "../finding.ts";
import { isFinished } from "../pods.ts";
import { instanceId, isGreen, isReady } from "../target.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";
import { topOwners } from "./top-owner.ts";

/** Nodes that are not well, and what is different on green. */
export const nodes = (scene: Scene): Finding[] => [
  ...notReady(scene),
  ...skew(scene),
  ...architecture(scene),
  ...hopLimit(scene),
  ...cgroups(scene),
];

const poolOf = ({ target }: Scene): ObjectRef => ({ kind: "Pool", name: target.pool });
const greenNodes = ({ picture, target }: Scene): Node[] =>
  picture
    .all("Node")
    .filter((node) => isGreen(target, node))
    .toSorted(byNodeName);
const byNodeName = (a: Node, b: Node): number => a.metadata.name.localeCompare(b.metadata.name);

function notReady({ picture, blue }: Scene): Finding[] {
  const empties = new Set(blue);
  return picture.all("Node").flatMap((node) => {
    const ours = empties.has(node);
    // a node that has not reported yet is joining
    const ill = ours
      ? !isReady(node)
      : node.status?.conditions?.some(({ type, status }) => type === "Ready" && status !== "True");
    if (ill !== true) return [];
    return [
      finding(
        "node-not-ready",
        refOf("Node", node),
        ours
          ? "it is not Ready; its pods may be stuck until it comes back or is gone"
          : "it is not Ready; nothing can move there, and its pods may be missing elsewhere",
        `\`kubectl describe node ${node.metadata.name}\`, or terminate its instance`,
      ),
    ];
  });
}

/** `v1.34.1-eks-113cf36` → 34 */
const minorOf = (version: string | undefined): number | undefined => {
  const minor = /^v?1\.(\d+)/.exec(version ?? "")?.[1];
  return minor === undefined ? undefined : Number(minor);
};

/** Minor versions that a kubelet may be behind the API server (https://kubernetes.io/releases/version-skew-policy/#kubelet). */
const MOST_BEHIND = 3;

/**
 * A kubelet may not be newer than the API server, nor more than three minors older. Where the server's version is not known it is at
 * least that of the newest kubelet.
 */
function skew(scene: Scene): Finding[] {
  const { picture, blue, target } = scene;
  const { serverVersion } = picture;
  const known = minorOf(serverVersion);
  const newest = picture
    .all("Node")
    .map((node) => minorOf(node.status?.nodeInfo?.kubeletVersion) ?? 0)
    .reduce((a, b) => Math.max(a, b), 0);
  const server = known ?? newest;
  const name = known === undefined ? `at least 1.${newest}, as other kubelets are` : `${serverVersion}`;
  const versions = Map.groupBy(
    [...blue, ...greenNodes(scene)],
    (node) => node.status?.nodeInfo?.kubeletVersion ?? "",
  );
  const found = [...versions].flatMap(([version, [first, ...more]]) => {
    const minor = minorOf(version);
    if (minor === undefined || first === undefined) return [];
    const newer = minor > server;
    if (!newer && server - minor <= MOST_BEHIND) return [];
    const others = more.length === 0 ? "" : ` (and ${count(more.length, "more node")})`;
    return [
      finding(
        "node-skew",
        refOf("Node", first),
        `its kubelet${others} is ${version}, ${newer ? "newer than" : `more than ${MOST_BEHIND} minor versions older than`} the API server (${name})`,
        newer
          ? "update the control plane first, or pin an older image"
          : "go on, and make sure that the pinned image has a newer kubelet: this one is no longer supported",
      ),
    ];
  });
  const pinned = "releaseVersion" in target.image ? target.image.releaseVersion : undefined;
  const minor = minorOf(pinned);
  if (minor === undefined || known === undefined) return found;
  if (minor <= known && known - minor <= MOST_BEHIND) return found;
  return [
    ...found,
    finding(
      "node-skew",
      poolOf(scene),
      `release ${pinned} has a kubelet ${minor > known ? "newer than" : `more than ${MOST_BEHIND} minor versions older than`} the API server (${serverVersion})`,
      minor > known ? "update the control plane first, or pin an older release" : "pin a newer release",
    ),
  ];
}

/** Images are made for an architecture; that one has the other, too, cannot be seen in the cluster. */
function architecture(scene: Scene): Finding[] {
  const { blue, picture, moving } = scene;
  const was = distinct(blue.map(archOf));
  const will = distinct(greenArchitectures(scene));
  if (was.length === 0 || will.length === 0 || was.every((arch) => will.includes(arch))) return [];
  const missing = was.filter((arch) => !will.includes(arch));
  const theirs = new Set(
    blue.filter((node) => missing.includes(archOf(node) ?? "")).map(({ metadata }) => metadata.name),
  );
  const moves = moving.filter(({ spec }) => theirs.has(spec?.nodeName ?? ""));
  return topOwners(
    picture,
    moves.filter((pod) => !isFinished(pod)),
  ).map(({ kind, namespace, name, uid, pods }) => {
    const images = distinct(
      pods.flatMap(({ spec }) =>
        [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(({ image }) => image),
      ),
    );
    return finding(
      "architecture-differs",
      { kind, namespace, name, uid },
      `it runs on ${missing.join(" and ")}, and green is ${will.join(" and ")}${images.length === 0 ? "" : ` (${listing(images)})`}`,
      `make sure that its images are made for ${will.join(" and ")}: \`docker buildx imagetools inspect <image>\` lists what they have`,
    );
  });
}

const archOf = ({ metadata, status }: Node): string | undefined =>
  metadata.labels?.["kubernetes.io/arch"] ?? status?.nodeInfo?.architecture;

/** What is there counts most, then what the cloud says of the instance types, then the config. */
function greenArchitectures(scene: Scene): (string | undefined)[] {
  const made = greenNodes(scene).map(archOf);
  if (made.some((arch) => arch !== undefined)) return made;
  const types = scene.green?.instanceTypes.map((type) => scene.cloud?.instanceTypes?.get(type)) ?? [];
  if (types.some((type) => type !== undefined)) return types.flatMap((type) => type?.architectures ?? []);
  return [scene.green?.architecture];
}

const distinct = (values: readonly (string | undefined)[]): string[] =>
  [...new Set(values.filter((value) => value !== undefined))].toSorted();

/** How far an answer of the instance metadata service may go: pods without host network are one hop further away. */
function hopLimit(scene: Scene): Finding[] {
  const { green, cloud, blue } = scene;
  const limits = blue
    .map((node) => cloud?.hopLimits?.get(instanceId(node) ?? ""))
    .filter((limit) => limit !== undefined);
  const most = Math.max(0, ...limits);
  if (green?.hopLimit === undefined || green.hopLimit >= most) return [];
  return [
    finding(
      "metadata-hop-limit",
      poolOf(scene),
      `the metadata service of green's nodes answers over ${count(green.hopLimit, "hop")}, blue's over ${count(most, "hop")}: pods without host network that ask it for credentials or their region may get no answer`,
      `give such pods a role of their own (IRSA, EKS Pod Identity), or set patchguard:pools[].metadataOptions.hopLimit to ${most}`,
    ),
  ];
}

/** The kubelet does not tell the cgroup version; the images that are known to have one or the other do. */
function cgroups(scene: Scene): Finding[] {
  const { blue, green } = scene;
  const [first] = blue.filter((node) => cgroupOf(imageOf(node)) !== undefined);
  if (first === undefined) return [];
  const [made] = greenNodes(scene).filter((node) => cgroupOf(imageOf(node)) !== undefined);
  const will = made === undefined ? ofAmiType(green?.amiType) : cgroupOf(imageOf(made));
  const was = cgroupOf(imageOf(first));
  if (will === undefined || will === was) return [];
  const image = made === undefined ? green?.amiType : imageOf(made);
  return [
    finding(
      "cgroup-version",
      poolOf(scene),
      `blue's nodes have cgroup v${was} (${imageOf(first)}), green's v${will} (${image}): runtimes that are too old for it misread their memory limits`,
      will === 2
        ? "look at workloads on Java before 8u372, 11.0.16 or 15, Node.js before 20, and agents that read /sys/fs/cgroup themselves"
        : "pin an image with cgroup v2: Kubernetes is leaving v1 behind",
    ),
  ];
}

const imageOf = ({ status }: Node): string => status?.nodeInfo?.osImage ?? "";

const ofAmiType = (type: string | undefined): 1 | 2 | undefined =>
  type === undefined ? undefined : /^(AL2023|BOTTLEROCKET)_/.test(type) ? 2 : undefined;

/** By the name that an image gives itself (/etc/os-release PRETTY_NAME); undefined where that does not settle it. */
export function cgroupOf(osImage: string): 1 | 2 | undefined {
  const number = (pattern: RegExp): number | undefined => {
    const found = pattern.exec(osImage)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  if (/^Amazon Linux 2$/.test(osImage)) return 1;
  if (/^Amazon Linux 2023/.test(osImage)) return 2;
  // its variants up to aws-k8s-1.25 have v1 (github.com/bottlerocket-os/bottlerocket, release 1.13)
  const bottlerocket = number(/^Bottlerocket OS .*aws-k8s-1\.(\d+)/);
  if (bottlerocket !== undefined) return bottlerocket >= 26 ? 2 : 1;
  const ubuntu = number(/^Ubuntu (\d+\.\d+)/);
  if (ubuntu !== undefined) return ubuntu >= 21.1 ? 2 : 1;
  const debian = number(/^Debian GNU\/Linux (\d+)/);
  if (debian !== undefined) return debian >= 11 ? 2 : 1;
  const redHat = number(/^(?:Red Hat Enterprise Linux|Rocky Linux|AlmaLinux|Oracle Linux Server) (\d+)/);
  if (redHat !== undefined) return redHat >= 9 ? 2 : 1;
  return undefined;
}
