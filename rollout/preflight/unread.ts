import { RESOURCES } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import type { ContextKind, Picture, PictureKind, Unread } from "../picture.ts";
import { karpenterRuns, vpaUpdaterRuns } from "./evictors.ts";
import { quoted } from "./causes/words.ts";
import type { Scene } from "./question.ts";
import { finding } from "./rules.ts";

/** What nobody can say without a kind. */
const MISSED: Record<ContextKind, string> = {
  Deployment: "who scaled a Deployment, why its pods are not created, and which evictors run as one",
  HorizontalPodAutoscaler: "whether an autoscaler decides on the replicas that a budget lacks",
  CronJob: "whether a CronJob evicts pods (descheduler), or fills a budget that selects nothing now",
  Namespace: "which webhooks and affinities apply to a pod by its namespace's labels",
  StorageClass: "whether a claim waits for its pod or for a provisioner",
  CSINode: "how many volumes a node can attach",
  ValidatingWebhookConfiguration: "which webhooks are asked about evictions",
  MutatingWebhookConfiguration: "which webhooks are asked about evictions",
  NodePool: "whether Karpenter disrupts nodes meanwhile",
  VerticalPodAutoscaler: "whether the VPA updater evicts pods that move",
};

/** Kinds that could not be listed: each makes fewer findings, and is named. */
export const unread = ({ picture }: Scene): Finding[] =>
  picture.unread.filter((it) => isMissed(picture, it)).map(toFinding);

/** A CRD that is not installed is missing only where something shows that its controller runs. */
function isMissed(picture: Picture, { kind, reason }: Unread): boolean {
  if (reason === "forbidden") return true;
  if (kind === "NodePool") return karpenterRuns(picture);
  if (kind === "VerticalPodAutoscaler") return vpaUpdaterRuns(picture);
  return true;
}

function toFinding({ kind, reason, message }: Unread): Finding {
  const { plural, path } = RESOURCES[kind];
  const group = path.startsWith("/apis/") ? `.${path.split("/")[2]}` : "";
  const missed = isContext(kind) ? MISSED[kind] : "what depends on it";
  return finding(
    "not-judged",
    { kind: "ClusterRole", name: "patchguard" },
    reason === "forbidden"
      ? `${plural}${group} may not be listed, so it is not judged ${missed} (${quoted(message, 200)})`
      : `the API server does not serve ${plural}${group} in the version ${path.split("/").at(-1)}, so it is not judged ${missed}`,
    reason === "forbidden"
      ? `allow \`list\` on ${plural}${group} (docs/permissions.md)`
      : `\`kubectl api-resources | grep ${plural}\` shows the versions that it has; update the controller`,
  );
}

const isContext = (kind: PictureKind): kind is ContextKind => kind in MISSED;
