import type { LabelSelector, WebhookConfiguration } from "../cluster/types.ts";
import type { Finding } from "../finding.ts";
import type { Picture } from "../picture.ts";
import { judgePod } from "../pods.ts";
import { matches } from "../selectors.ts";
import type { Scene } from "./question.ts";
import { finding, refOf } from "./rules.ts";

type Webhook = NonNullable<WebhookConfiguration["webhooks"]>[number];

/**
 * Webhooks that are asked about the evictions of this handover, and that the API server does not ask in a dry run: they declare side
 * effects of their own (k8s.io/apiserver pkg/admission/plugin/webhook refuses the whole request then).
 */
export function webhooks(scene: Scene): Finding[] {
  const { picture, moving, config } = scene;
  const namespaces = new Set(
    moving
      .filter((pod) => judgePod(pod, config.drain).action !== "excluded")
      .map(({ metadata }) => metadata.namespace ?? "default"),
  );
  return (["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"] as const).flatMap((kind) =>
    picture.all(kind).flatMap((configuration) => {
      const mute = (configuration.webhooks ?? []).filter(
        (webhook) =>
          hasSideEffects(webhook) &&
          isAskedAboutEvictions(webhook) &&
          [...namespaces].some((name) => covers(picture, webhook, name)),
      );
      return mute.map(({ name, sideEffects }) =>
        finding(
          "eviction-not-judged",
          refOf(kind, configuration),
          `webhook ${name} is asked about evictions and declares side effects (${sideEffects}), so a dry run cannot ask it, and what it answers shows only in the drain`,
          "see from its documentation whether it denies evictions; if it does nothing in a dry run, let it declare sideEffects: NoneOnDryRun",
        ),
      );
    }),
  );
}

const hasSideEffects = ({ sideEffects }: Webhook): boolean =>
  sideEffects === "Some" || sideEffects === "Unknown";

/** An eviction is CREATE on pods/eviction; `pods/*`, `*\/*` and so on cover it as well. */
const isAskedAboutEvictions = ({ rules = [] }: Webhook): boolean =>
  rules.some(
    ({ apiGroups = [], operations = [], resources = [], scope = "*" }) =>
      scope !== "Cluster" &&
      has(apiGroups, "") &&
      has(operations, "CREATE") &&
      resources.some((it) => ["pods/eviction", "pods/*", "*/eviction", "*/*"].includes(it)),
  );

const has = (values: readonly string[], value: string): boolean =>
  values.includes(value) || values.includes("*");

/** Namespaces that cannot be read count as covered. The object in question is the Eviction itself, which has no labels. */
function covers(picture: Picture, { namespaceSelector, objectSelector }: Webhook, name: string): boolean {
  if (!isEmpty(objectSelector) && !matches(objectSelector, {})) return false;
  const namespace = picture.get("Namespace", name);
  return isEmpty(namespaceSelector) || namespace === undefined
    ? true
    : matches(namespaceSelector, namespace.metadata.labels);
}

const isEmpty = (selector: LabelSelector | undefined): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length + (selector?.matchExpressions ?? []).length === 0;
