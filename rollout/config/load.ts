import { z } from "zod";
import { checkTogether } from "./checks.ts";
import { clusterSchema, clusterSchemas, type ClusterConfig } from "./cluster.ts";
import { destroySchema, type DestroyConfig } from "./destroy.ts";
import { ConfigError, type Problem } from "./error.ts";
import { pathText, problemsOf } from "./problems.ts";
import { poolSchema, poolSchemas, type PoolConfig } from "./pool.ts";
import { rolloutSchema, type RolloutConfig } from "./rollout.ts";

/** The values of `patchguard:*`, as they came out of the stack's config. */
export interface RawConfig {
  cluster: unknown;
  pools: unknown;
  rollout?: unknown;
  destroy?: unknown;
  /** Keys of `patchguard:` beside these four, so that a misspelt one is not passed over in silence. */
  otherKeys?: string[];
}

/** A stack's config, checked, defaults filled in. */
export interface Config {
  cluster: ClusterConfig;
  /** In the order in which they are handed over. */
  pools: PoolConfig[];
  rollout: RolloutConfig;
  destroy: DestroyConfig | undefined;
}

/**
 * Checks everything and fills in the defaults.
 * @param source what the error calls the config, e.g. the stack's name
 * @throws ConfigError that lists every problem with its path
 */
export function loadConfig(raw: RawConfig, source?: string): Config {
  const problems: Problem[] = [];
  const read = <T extends z.ZodType>(schema: T, value: unknown, path: string): z.output<T> | undefined => {
    const result = schema.safeParse(value, { reportInput: true });
    if (result.success) return result.data;
    problems.push(...problemsOf(result.error, path));
    return undefined;
  };

  const cluster = read(clusterSchema, raw.cluster, "patchguard:cluster");
  const listed = read(poolList, raw.pools, "patchguard:pools") ?? [];
  const pools = listed.map((value, index) => read(poolSchema, value, pathText(["patchguard:pools", index])));
  const rollout = read(rolloutSchema, raw.rollout ?? {}, "patchguard:rollout");
  const destroy =
    raw.destroy === undefined ? undefined : read(destroySchema, raw.destroy, "patchguard:destroy");
  for (const key of raw.otherKeys ?? [])
    problems.push({
      path: `patchguard:${key}`,
      reason: "is not a setting; there are cluster, pools, rollout and destroy",
    });

  const readable = {
    cluster: cluster ?? salvageBy("kind", clusterSchemas, raw.cluster) ?? {},
    pools: listed.flatMap((value, index) => {
      const pool = pools[index] ?? salvageBy("kind", poolSchemas, value);
      return pool === undefined ? [] : [{ path: `patchguard:pools[${index}]`, pool }];
    }),
    rollout: rollout ?? (salvage(rolloutSchema, raw.rollout) as Partial<RolloutConfig>),
    destroy,
  };
  const inFields = problems.map(({ path }) => path);
  // what is wrong in itself may look as if it were not there: once is enough
  problems.push(
    ...checkTogether(readable).filter(({ path }) => !inFields.some((field) => field.startsWith(path))),
  );
  if (problems.length > 0 || cluster === undefined || rollout === undefined)
    throw new ConfigError(inOrder(problems), source);
  return { cluster, pools: pools.filter((pool) => pool !== undefined), rollout, destroy };
}

/** As people read a stack file: by section, then by place. Problems of one place stay in the order in which they were found. */
function inOrder(problems: Problem[]): Problem[] {
  const section = ({ path }: Problem): number =>
    ["cluster", "pools", "rollout", "destroy"].findIndex((key) => path.startsWith(`patchguard:${key}`));
  const place = ({ path }: Problem): number => Number(/^patchguard:pools\[(\d+)\]/.exec(path)?.[1] ?? -1);
  return problems.toSorted((a, b) => section(a) - section(b) || place(a) - place(b));
}

const poolList = z
  .array(z.unknown(), { error: () => "must be a list of pools" })
  .min(1, { error: () => "must have at least one pool" });

/** The fields of a map that are right in themselves, so that checks across fields can go on beside a mistake. */
function salvage(schema: z.ZodObject, value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) return {};
  const fields = Object.entries(schema.shape).flatMap(([key, field]) => {
    const result = z.safeParse(field, (value as Record<string, unknown>)[key]);
    return result.success && result.data !== undefined ? [[key, result.data] as const] : [];
  });
  return Object.fromEntries(fields);
}

/** The same for a map whose `kind` says which schema it follows; undefined where the kind is none. */
function salvageBy<S extends Record<string, z.ZodObject>>(
  discriminator: string,
  schemas: S,
  value: unknown,
): (Partial<z.output<S[keyof S]>> & { kind: keyof S & string }) | undefined {
  const kind =
    typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)[discriminator]
      : undefined;
  const schema = typeof kind === "string" && Object.hasOwn(schemas, kind) ? schemas[kind] : undefined;
  return schema === undefined
    ? undefined
    : (salvage(schema, value) as Partial<z.output<S[keyof S]>> & { kind: keyof S & string });
}
