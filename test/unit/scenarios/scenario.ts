import { loadYaml } from "@kubernetes/client-node";
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { CloudFacts } from "../../../rollout/cloud/facts.ts";
import { type RolloutConfig, rolloutSchema } from "../../../rollout/config/rollout.ts";
import { CONTEXT_KINDS, CORE_KINDS, FixedPicture } from "../../../rollout/picture.ts";
import type { Question } from "../../../rollout/preflight/question.ts";
import type { GreenSpec } from "../../../rollout/targets.ts";
import { BLUE_NODES, GREEN, NOW, TARGET } from "./defaults.ts";
import { expand } from "./expand.ts";
import { type Doc, isMap, merge } from "./merge.ts";

const kinds = [...CORE_KINDS, ...CONTEXT_KINDS] as const;

const header = z.strictObject({
  kind: z.literal("Scenario"),
  title: z.string().min(1),
  /** `owner/repo#123`, or the name of a chart or a page with its address. */
  source: z.string().regex(/[\w.-]+\/[\w.-]+#\d+|https:\/\/\S+/, "names no issue and no address"),
  /** Which of the default blue nodes there are. */
  nodes: z.array(z.enum(Object.keys(BLUE_NODES))).optional(),
  /** Parts of `patchguard:rollout`. */
  config: z.record(z.string(), z.unknown()).default({}),
  /** What green has otherwise than blue; `zones` as names. */
  green: z.record(z.string(), z.unknown()).default({}),
  /** The API server's. */
  serverVersion: z.string().default("v1.34.1-eks-113cf36"),
  unread: z
    .array(
      z.strictObject({
        kind: z.enum(kinds),
        reason: z.enum(["missing", "forbidden"]),
        message: z.string().default("the server refused"),
      }),
    )
    .default([]),
  /** What the cloud said of its limits; without it nobody asked. */
  cloud: z.record(z.string(), z.unknown()).optional(),
  /** What the API server answers to a dry-run eviction, by pod: `shop/web-1: admission webhook … denied the request`. */
  dryRuns: z.record(z.string(), z.string()).default({}),
  expect: z
    .array(
      z.strictObject({ rule: z.string(), object: z.string(), says: z.array(z.string().min(1)).default([]) }),
    )
    .default([]),
  /** Rules that must have nothing to say. */
  never: z.array(z.string()).default([]),
});

export interface Scenario {
  title: string;
  expect: { rule: string; object: string; says: string[] }[];
  never: string[];
  dryRuns: Record<string, string>;
  question: Question;
}

/** @throws Error when the file is not a scenario, or an object in it is of a kind that nothing uses. */
export function loadScenario(path: string): Scenario {
  const [first, ...docs] = documentsOf(readFileSync(path, "utf8"));
  const parsed = header.safeParse(first);
  if (!parsed.success) throw new Error(`the first document is no Scenario: ${z.prettifyError(parsed.error)}`);
  const { title, expect, never, nodes, config, green, unread, cloud, dryRuns, serverVersion } = parsed.data;
  const objects = expand(docs as Doc[], nodes ?? Object.keys(BLUE_NODES));
  for (const { kind } of unread) delete objects[kind];
  return {
    title,
    expect,
    never,
    dryRuns,
    question: {
      picture: new FixedPicture(objects, unread, serverVersion),
      target: TARGET,
      config: rolloutConfig(config),
      now: NOW,
      green: greenOf(green),
      ...(cloud === undefined ? {} : { cloud: cloudOf(cloud) }),
    },
  };
}

/** The documents of a file as they stand. They are read as one list, for the client's reader would drop fields that Kubernetes lacks. */
function documentsOf(text: string): unknown[] {
  const items = text
    .split(/^---$/m)
    .filter((document) => document.trim() !== "")
    .map((document) => `-\n${document.replaceAll(/^/gm, "  ")}`);
  return loadYaml<{ documents: unknown[] }>(`documents:\n${items.join("\n")}`).documents.map(plain);
}

const rolloutConfig = (parts: Record<string, unknown>): RolloutConfig => rolloutSchema.parse(parts);

function greenOf({ zones, ...rest }: Record<string, unknown>): GreenSpec {
  const named = Array.isArray(zones)
    ? { zones: GREEN.zones.filter(({ zone }) => zones.includes(zone)) }
    : isMap(zones)
      ? {
          zones: GREEN.zones
            .filter(({ zone }) => zone in zones)
            .map((it) => merge(it, zones[it.zone] as object)),
        }
      : {};
  return merge(GREEN, { ...rest, ...named });
}

/** What is by name or zone is a map there. */
const MAPS = ["instanceTypes", "freeAddresses", "hopLimits", "launched"];

function cloudOf(facts: Record<string, unknown>): CloudFacts {
  const read = Object.entries(facts).map(([key, value]) => [
    key,
    MAPS.includes(key) && isMap(value) ? new Map(Object.entries(value)) : value,
  ]);
  return { notAsked: [], ...(Object.fromEntries(read) as Partial<CloudFacts>) };
}

/** As the API server hands it over: times are text. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (Array.isArray(value)) return value.map(plain);
  return isMap(value)
    ? Object.fromEntries(Object.entries(value).map(([key, it]) => [key, plain(it)]))
    : value;
}
