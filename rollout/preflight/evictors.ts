import type { Container, PodTemplate } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import type { Picture } from "../picture.ts";
import { listing } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";
import { topOwners } from "./top-owner.ts";

/** Others that evict pods or end nodes while the handover is under way. What they do is not our doing, but it spends the same budgets. */
export const evictors = (scene: Scene): Finding[] => [
  ...kured(scene),
  ...programs(scene.picture),
  ...karpenter(scene.picture),
  ...verticalAutoscalers(scene),
  ...nodeRepair(scene),
];

/** A controller that runs pods now: a Deployment or StatefulSet with replicas, a DaemonSet with nodes, a CronJob that is not suspended. */
export interface Runner {
  kind: "Deployment" | "StatefulSet" | "DaemonSet" | "CronJob";
  metadata: { name: string; namespace?: string; uid: string };
  containers: readonly Container[];
}

export function runnersOf(picture: Picture): Runner[] {
  const containersOf = (template: PodTemplate | undefined): readonly Container[] =>
    template?.spec?.containers ?? [];
  const sized = (["Deployment", "StatefulSet"] as const).flatMap((kind) =>
    picture
      .all(kind)
      .filter(({ spec }) => (spec?.replicas ?? 1) > 0)
      .map(({ metadata, spec }) => ({ kind, metadata, containers: containersOf(spec?.template) })),
  );
  const onNodes = picture
    .all("DaemonSet")
    .filter(({ status }) => status?.desiredNumberScheduled !== 0)
    .map(({ metadata, spec }) => ({
      kind: "DaemonSet" as const,
      metadata,
      containers: containersOf(spec?.template),
    }));
  const timed = picture
    .all("CronJob")
    .filter(({ spec }) => spec?.suspend !== true)
    .map(({ metadata, spec }) => ({
      kind: "CronJob" as const,
      metadata,
      containers: containersOf(spec?.jobTemplate?.spec?.template),
    }));
  return [...sized, ...onNodes, ...timed];
}

/** `registry.k8s.io/autoscaling/cluster-autoscaler-amd64:v1.34.1@sha256:…` → `cluster-autoscaler` */
const programOf = (image: string): string =>
  (image.split("@")[0]?.split("/").at(-1)?.split(":")[0] ?? "").replace(/-(amd64|arm64)$/, "");

/** A container runs this program: its image is called so (mirrors often put a prefix before the name), or its command is. */
const runs = (program: string, { image = "", command = [], args = [] }: Container): boolean => {
  const name = programOf(image);
  return (
    name === program ||
    name.endsWith(`-${program}`) ||
    name.endsWith(`_${program}`) ||
    (command[0] ?? args[0] ?? "").split("/").at(-1) === program
  );
};

const runnersWith = (picture: Picture, program: string): Runner[] =>
  runnersOf(picture).filter(({ containers }) => containers.some((it) => runs(program, it)));

const wordsOf = ({ containers }: Runner): string[] =>
  containers.flatMap(({ command = [], args = [] }) => [...command, ...args]);

const scaleDown = ({ kind, metadata: { namespace, name } }: Runner): string =>
  kind === "CronJob"
    ? `suspend it for the time: \`kubectl -n ${namespace} patch cronjob ${name} -p '{"spec":{"suspend":true}}'\``
    : `\`kubectl -n ${namespace} scale ${kind.toLowerCase()}/${name} --replicas=0\``;

/** Programs that act by themselves, whatever is configured beside them. */
const PROGRAMS: { program: string; why: string; fix: (runner: Runner) => string; off?: RegExp }[] = [
  {
    program: "cluster-autoscaler",
    why: "it evicts the pods of nodes that it finds underused; PatchGuard keeps it off green's nodes and freezes blue's groups, but other nodes may go, and their pods spend the same budgets",
    fix: () =>
      "nothing if that is all right; to be sure set --scale-down-enabled=false until the handover is over (scaling it to 0 would also keep green from growing)",
    off: /^--scale-down-enabled=false$/,
  },
  {
    program: "descheduler",
    why: "it evicts pods by rules of its own, also those that have just moved",
    fix: scaleDown,
  },
  {
    program: "aws-node-termination-handler",
    why: "it drains a node when AWS announces a spot interruption, a rebalance or maintenance, whether another node is being drained or not",
    fix: () =>
      "nothing: nodes that AWS takes away must be drained; a handover then waits until the workloads are whole",
  },
  {
    program: "draino",
    why: "it drains nodes by their conditions, whether another node is being drained or not",
    fix: scaleDown,
  },
];

const programs = (picture: Picture): Finding[] =>
  PROGRAMS.flatMap(({ program, why, fix, off }) =>
    runnersWith(picture, program)
      .filter((runner) => off === undefined || !wordsOf(runner).some((word) => off.test(word)))
      .map((runner) => finding("evictor-active", refOf(runner.kind, runner), why, fix(runner))),
  );

/**
 * kured reboots one node after the other under a lock: an annotation of its DaemonSet (weave.works/kured-node-lock, or another by
 * --lock-annotation) with the node's name, or several (--concurrency); pkg/daemonsetlock of kubereboot/kured.
 */
function kured({ picture, now }: Scene): Finding[] {
  return picture.all("DaemonSet").flatMap((set) => {
    const containers = set.spec?.template?.spec?.containers ?? [];
    if (!containers.some((it) => runs("kured", it))) return [];
    const held = Object.entries(set.metadata.annotations ?? {}).flatMap(([key, value]) =>
      holdersOf(value, now).map((node) => ({ key, node })),
    );
    const [first] = held;
    if (first === undefined) return [];
    const nodes = listing(held.map(({ node }) => node).toSorted());
    const { namespace, name } = set.metadata;
    return [
      finding(
        "evictor-active",
        refOf("DaemonSet", set),
        `kured holds its lock for node ${nodes} (annotation ${first.key}): it drains that node and reboots it`,
        `wait until the node is back; if kured no longer works on it: \`kubectl -n ${namespace} annotate daemonset ${name} ${first.key}-\``,
      ),
    ];
  });
}

/** A lock with a time to live (Go's nanoseconds) that is over no longer counts: the next node takes it. */
function holdersOf(value: string, now: number): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    if (error instanceof SyntaxError) return []; // some other annotation
    throw error;
  }
  if (typeof parsed !== "object" || parsed === null) return [];
  const { locks } = parsed as { locks?: unknown };
  const all = (Array.isArray(locks) ? locks : [parsed]) as Partial<Record<string, unknown>>[];
  return all.flatMap(({ nodeID, created, TTL }) => {
    if (typeof nodeID !== "string" || nodeID === "") return [];
    const over =
      typeof TTL === "number" && TTL > 0 && typeof created === "string"
        ? now >= Date.parse(created) + TTL / 1e6
        : false;
    return over ? [] : [nodeID];
  });
}

const LABEL_NODEPOOL = "karpenter.sh/nodepool";

/** Karpenter disrupts only its own nodes, but evicts their pods; without a budget of the NodePool's that forbids it, at any time. */
function karpenter(picture: Picture): Finding[] {
  const nodes = Map.groupBy(picture.all("Node"), ({ metadata }) => metadata.labels?.[LABEL_NODEPOOL] ?? "");
  return picture.all("NodePool").flatMap((pool) => {
    const { disruption = {} } = pool.spec ?? {};
    const { budgets = [{ nodes: "10%" }], consolidationPolicy = "WhenEmptyOrUnderutilized" } = disruption;
    // a budget without a schedule and without reasons always holds, and the smallest counts
    const never = budgets.some(
      ({ nodes: limit, reasons, schedule }) =>
        /^0%?$/.test(String(limit)) && (reasons ?? []).length === 0 && schedule === undefined,
    );
    if (never) return [];
    const has = nodes.get(pool.metadata.name)?.length ?? 0;
    const limits = listing(
      budgets.map(({ nodes: limit, schedule }) =>
        schedule === undefined ? `${limit} of its nodes` : `${limit} of its nodes at ${schedule}`,
      ),
    );
    return [
      finding(
        "evictor-active",
        refOf("NodePool", pool),
        `Karpenter may disrupt its nodes (${has} now; ${consolidationPolicy}, drift, expiry; budget ${limits}), and their pods spend the same budgets`,
        `nothing if that is all right; to be sure put {nodes: "0"} into its budgets until the handover is over: \`kubectl edit nodepool ${pool.metadata.name}\`, spec.disruption.budgets`,
      ),
    ];
  });
}

/** The modes in which the updater evicts; InPlaceOrRecreate does where a resize in place fails. */
const EVICTING_MODES = ["Auto", "Recreate", "InPlaceOrRecreate"];

/** An updater that cannot be looked for, since Deployments may not be listed, is taken to be there. */
function verticalAutoscalers({ picture, moving }: Scene): Finding[] {
  const unseen = picture.unread.some(({ kind }) => kind === "Deployment");
  if (!unseen && !vpaUpdaterRuns(picture)) return [];
  const vpas = picture
    .all("VerticalPodAutoscaler")
    .filter(({ spec }) => EVICTING_MODES.includes(spec?.updatePolicy?.updateMode ?? "Auto"));
  if (vpas.length === 0) return [];
  const keyOf = (kind: string, namespace = "", name = ""): string => `${kind}/${namespace}/${name}`;
  const moves = new Set(
    topOwners(picture, moving).map(({ kind, namespace, name }) => keyOf(kind, namespace, name)),
  );
  return vpas.flatMap((vpa) => {
    const { kind = "", name = "" } = vpa.spec?.targetRef ?? {};
    const { namespace } = vpa.metadata;
    const known = kind === "Deployment" || kind === "StatefulSet" || kind === "DaemonSet";
    const exists = known && picture.get(kind, name, namespace) !== undefined;
    // a target that nobody here can see may have pods that move
    if (exists && !moves.has(keyOf(kind, namespace, name))) return [];
    const mode = vpa.spec?.updatePolicy?.updateMode ?? "Auto";
    return [
      finding(
        "evictor-active",
        refOf("VerticalPodAutoscaler", vpa),
        `in mode ${mode} the updater evicts pods of ${kind} ${namespace}/${name} to resize them, also while they move`,
        `let it only recommend until the handover is over: \`kubectl -n ${namespace} patch vpa ${vpa.metadata.name} --type merge -p '{"spec":{"updatePolicy":{"updateMode":"Off"}}}'\``,
      ),
    ];
  });
}

/** The updater of the Vertical Pod Autoscaler: an image of its own, or a program `updater` that calls itself VPA. */
export const vpaUpdaterRuns = (picture: Picture): boolean =>
  runnersOf(picture).some(({ metadata, containers }) =>
    containers.some(
      (it) =>
        runs("vpa-updater", it) ||
        (runs("updater", it) && /vpa|vertical/.test(`${metadata.name} ${it.image ?? ""}`)),
    ),
  );

/** EKS node auto repair: configured for green, or, as far as the cluster shows it, prepared by the agent that reports for it. */
function nodeRepair({ picture, green, target }: Scene): Finding[] {
  const why = "EKS replaces nodes that it finds broken, and drains them without asking PatchGuard";
  const ours =
    green?.nodeRepair === true
      ? [
          finding(
            "evictor-active",
            { kind: "Pool", name: target.pool },
            `nodeRepair is on: ${why}`,
            "nothing if that is all right; a broken node of green is then replaced in mid-handover and waited for",
          ),
        ]
      : [];
  const agents = runnersWith(picture, "eks-node-monitoring-agent").map((runner) =>
    finding(
      "evictor-active",
      refOf(runner.kind, runner),
      `it reports broken nodes to EKS; where a node group has auto repair on, ${why}`,
      "`aws eks describe-nodegroup` shows nodeRepairConfig of each group; nothing if repairs are all right",
    ),
  );
  return [...ours, ...agents];
}

/** Karpenter's controller runs, or nodes of it are there. */
export const karpenterRuns = (picture: Picture): boolean =>
  picture.all("Node").some(({ metadata }) => metadata.labels?.[LABEL_NODEPOOL] !== undefined) ||
  runnersOf(picture).some(({ containers }) =>
    containers.some(({ image = "" }) => /\/karpenter\/controller(?=[:@]|$)/.test(image)),
  );
