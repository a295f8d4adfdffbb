import { loadYaml } from "@kubernetes/client-node";
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}
export interface Job {
  permissions?: Record<string, string>;
  if?: string;
  steps: Step[];
  "timeout-minutes"?: unknown;
  concurrency?: { "cancel-in-progress": unknown };
  environment?: string;
}
export interface Workflow {
  on: string | string[] | Record<string, unknown>;
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

/** A file of GitHub's, as text and as YAML. */
export const filesIn = (pattern: string): { path: string; text: string; yaml: unknown }[] =>
  globSync(pattern, { cwd: ROOT })
    .sort()
    .map((path) => {
      const text = readFileSync(`${ROOT}${path}`, "utf8");
      return { path, text, yaml: loadYaml<unknown>(text) };
    });

export const WORKFLOWS = filesIn(".github/workflows/*.yml").map((it) => ({
  ...it,
  yaml: it.yaml as Workflow,
}));
export const ACTIONS = filesIn(".github/actions/*/action.yml").map((it) => ({
  ...it,
  yaml: it.yaml as { runs: { steps: Step[] } },
}));
