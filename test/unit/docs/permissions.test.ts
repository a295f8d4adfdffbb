import { loadAllYaml } from "@kubernetes/client-node";
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { type Kind, RESOURCES } from "../../../rollout/cluster/types.ts";
import { CONTEXT_KINDS, CORE_KINDS } from "../../../rollout/picture.ts";
import { textOf } from "./tables.ts";

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}
interface Manifest {
  kind: string;
  metadata: { name: string };
  rules?: Rule[];
}
interface Policy {
  Statement: { Sid: string; Action: string[] }[];
}

const page = textOf("docs/permissions.md");
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp("```" + language + "\n([^]*?)```", "g"))].map((match) => match[1] ?? "");

const manifests = blocks("yaml").flatMap((text) => loadAllYaml(text) as Manifest[]);
const granted = (name: string): string[] =>
  manifests
    .filter(({ metadata }) => metadata.name === name)
    .flatMap(({ rules = [] }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${verb} ${apiGroups[0]}/${resource}`)),
    );

const policies = blocks("json").map((text) => JSON.parse(text) as Policy);
const allowed = (sid: RegExp): string[] =>
  policies.flatMap(({ Statement }) =>
    Statement.filter(({ Sid }) => sid.test(Sid)).flatMap(({ Action }) => Action),
  );

const sources = (folder: string): string[] =>
  readdirSync(new URL(`../../../${folder}`, import.meta.url))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => textOf(`${folder}/${file}`));

const unique = (list: string[]): string[] => [...new Set(list)].sort();

const resourceOf = (kind: Kind): string =>
  `${/^\/apis\/([^/]+)/.exec(RESOURCES[kind].path)?.[1] ?? ""}/${RESOURCES[kind].plural}`;

/** The calls of the Cluster port in rollout/, as `verb group/resource`. */
function callsOfKubernetes(): string[] {
  const VERBS = {
    get: ["get"],
    list: ["list"],
    watch: ["list", "watch"],
    create: ["create"],
    patch: ["patch"],
    remove: ["delete"],
  };
  const calls = [
    ...sources("rollout"),
    ...sources("rollout/health"),
    ...sources("rollout/health/sources"),
  ].flatMap((text) => [
    ...[...text.matchAll(/cluster\s*\.(get|list|watch|create|patch|remove)\(\s*"(\w+)"/g)].flatMap(
      ([, verb, kind]) => VERBS[verb as keyof typeof VERBS].map((it) => `${it} ${resourceOf(kind as Kind)}`),
    ),
    ...(/cluster\s*\.evict\(/.test(text) ? ["create /pods/eviction"] : []),
    ...(/"\/apis\/metrics\.k8s\.io\//.test(text) ? ["list metrics.k8s.io/pods"] : []),
  ]);
  for (const kind of CORE_KINDS) for (const verb of VERBS.watch) calls.push(`${verb} ${resourceOf(kind)}`);
  for (const kind of CONTEXT_KINDS) calls.push(`list ${resourceOf(kind)}`);
  return unique(calls);
}

/** Every AWS action that rollout/cloud names for its errors; each stands beside its call. */
const actionsOfAws = (texts = sources("rollout/cloud")): string[] =>
  unique(
    texts.flatMap((text) =>
      [...text.matchAll(/"((?:eks|ec2|autoscaling|elasticloadbalancing|servicequotas):[A-Z]\w+)"/g)].map(
        (match) => match[1] ?? "",
      ),
    ),
  );

describe("docs/permissions.md grants what is asked for, and no more", () => {
  it("Kubernetes, for up: exactly the calls of rollout/", () =>
    assert.deepEqual(unique(granted("patchguard")), callsOfKubernetes()));
  it("Kubernetes, for preview: the lists of a snapshot, reads only, and nothing that up has not", () => {
    const preview = granted("patchguard-preview");
    for (const kind of [...CORE_KINDS, ...CONTEXT_KINDS])
      assert.ok(preview.includes(`list ${resourceOf(kind)}`), kind);
    for (const it of preview) assert.match(it, /^(get|list|watch) /);
    for (const it of preview) assert.ok(granted("patchguard").includes(it), it);
  });
  it("AWS, for the handover: exactly the calls of rollout/cloud", () => {
    assert.deepEqual(unique(allowed(/^Handover/)), actionsOfAws());
  });
  it("AWS, for preview: reads only, and nothing that up has not", () => {
    const preview = allowed(/^Preview/);
    assert.ok(preview.length > 0);
    for (const it of preview) assert.match(it, /^\w+:(Describe|List|Get)/);
    for (const it of preview) assert.ok(allowed(/^Handover|^Pulumi/).includes(it), it);
    const limits = ["limits", "quotas"].map((file) => textOf(`rollout/cloud/${file}.ts`));
    for (const it of actionsOfAws(limits)) assert.ok(preview.includes(it), it);
  });
  it("no permission to delete or change pods", () =>
    assert.ok(!granted("patchguard").some((it) => /^(delete|patch|update|create) \/pods$/.test(it))));
});
