import * as pulumi from "@pulumi/pulumi";
import { type Config, ConfigError, loadConfig, type Problem } from "../rollout/config/index.ts";

const NAMESPACE = "patchguard";
const KEYS = ["cluster", "pools", "rollout", "destroy"];

/**
 * The stack's config, checked.
 * @throws pulumi.RunError (shown without a stack trace) that lists every problem with its path
 */
export function readConfig(): Config {
  const settings = new pulumi.Config(NAMESPACE);
  const source = `the config of stack ${pulumi.getStack()}`;
  const otherKeys = Object.keys(pulumi.runtime.allConfig())
    .filter((key) => key.startsWith(`${NAMESPACE}:`))
    .map((key) => key.slice(NAMESPACE.length + 1))
    .filter((key) => !KEYS.includes(key));
  try {
    const [cluster, pools, rollout, destroy] = KEYS.map((key) => valueOf(settings, key));
    const config = loadConfig({ cluster, pools, rollout, destroy, otherKeys }, source);
    const problems = checkRegion(config);
    if (problems.length > 0) throw new ConfigError(problems, source);
    return config;
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** A map or list as such; text that is neither stays text, so that its own section can say what should stand there. */
function valueOf(settings: pulumi.Config, key: string): unknown {
  const text = settings.get(key);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The aws provider and the rollout must look at the same region. */
function checkRegion({ cluster }: Config): Problem[] {
  const region = new pulumi.Config("aws").get("region");
  if (cluster.kind === "aks" || region === undefined || region === cluster.region) return [];
  return [{ path: "aws:region", reason: `is ${region}, but patchguard:cluster.region is ${cluster.region}` }];
}
