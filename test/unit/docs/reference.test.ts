import assert from "node:assert/strict";
import { rolloutSchema } from "../../../rollout/config/rollout.ts";
import { FREEZE_PROCESSES } from "../../../rollout/freeze.ts";
import * as names from "../../../rollout/names.ts";
import { RULES } from "../../../rollout/preflight/rules.ts";
import { type Row, tablesOf, textOf, unionMembers } from "./tables.ts";

const tables = tablesOf(textOf("docs/reference.md"));
const table = (name: string): Row[] => {
  const rows = tables.get(name);
  assert.ok(rows, `docs/reference.md has no table that begins with the column ${name}`);
  return rows;
};
const column = (name: string, of = name): (string | undefined)[] => table(name).map((row) => row[of]);
const pairs = (name: string, value: string): Record<string, string> =>
  Object.fromEntries(table(name).map((row) => [row[name] ?? "", row[value] ?? ""] as const));
/** Both ways: nothing in the code that the table lacks, nothing in the table that the code lacks. */
const sameSet = (doc: (string | undefined)[], code: readonly string[]): void =>
  assert.deepEqual([...doc].sort(), [...code].sort());

describe("docs/reference.md says what the code says", () => {
  it("names in the cluster and the cloud", () => {
    const exported = Object.fromEntries(
      Object.entries(names).flatMap(([name, value]) =>
        typeof value === "string"
          ? [[name, value]]
          : typeof value === "function"
            ? [[name, value("<pool>")]]
            : [],
      ),
    );
    assert.deepEqual(pairs("Constant", "Value"), exported);
  });
  it("event reasons", () => assert.deepEqual(pairs("Key", "Reason"), { ...names.EVENT }));
  it("every other export of names.ts is a table of this page", () => {
    const others = Object.entries(names).filter(([, value]) => typeof value === "object");
    assert.deepEqual(others.map(([name]) => name).sort(), ["DEFAULTS", "EVENT"]);
  });
  it("default deadlines", () => {
    const code = Object.fromEntries(
      Object.entries(names.DEFAULTS).map(([key, value]) => [key, String(value)]),
    );
    assert.deepEqual(pairs("Name", "Default"), code);
  });
  it("the settings of the deadlines are there and have these defaults", () => {
    const defaults = leaves(rolloutSchema.parse({}));
    const rows = table("Name").filter(({ Setting }) => Setting !== "fixed");
    for (const { Setting = "", Default } of rows)
      assert.equal(String(defaults.get(Setting)), Default, Setting);
    const numbers = [...defaults.keys()].filter(
      (path) => path.endsWith("Seconds") && defaults.get(path) !== undefined,
    );
    sameSet(
      rows.map(({ Setting }) => Setting),
      numbers,
    );
  });
  it("log events", () =>
    sameSet(column("Event"), unionMembers(textOf("rollout/log.ts"), /type LogEvent =([^;]+);/)));
  it("marks, roles, phases and frozen processes", () => {
    const ownership = textOf("rollout/ownership.ts");
    sameSet(column("Mark"), unionMembers(ownership, /type Mark =([^;]+);/));
    sameSet(column("Role"), unionMembers(ownership, /type Role =([^;]+);/));
    const record = /interface RunRecord \{([^}]+)\}/.exec(textOf("rollout/run-state.ts"))?.[1] ?? "";
    sameSet(column("Phase"), unionMembers(record, /phase:([^;]+);/));
    sameSet(column("Process"), FREEZE_PROCESSES);
  });
  it("pre-flight rules and their severities", () =>
    assert.deepEqual(pairs("Rule", "Severity"), { ...RULES }));
  it("outputs", () => {
    const outputs = (["Gate", "Handover"] as const).flatMap((resource) => {
      const source = textOf(`components/${resource.toLowerCase()}.ts`);
      return [...source.matchAll(/(\w+): undefined/g)].map((match) => `${resource} ${match[1]}`);
    });
    for (const match of textOf("index.ts").matchAll(/^export const (\w+)/gm))
      outputs.push(`Stack ${match[1]}`);
    sameSet(
      table("Resource").map(({ Resource, Output }) => `${Resource} ${Output}`),
      outputs,
    );
    const proof = /interface Proof \{([^]+?)\n\}/.exec(textOf("rollout/verify.ts"))?.[1] ?? "";
    sameSet(
      column("Proof"),
      [...proof.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1] ?? ""),
    );
  });
  it("commands are scripts of package.json", () => {
    const { scripts } = JSON.parse(textOf("package.json")) as { scripts: Record<string, string> };
    for (const command of column("Command")) {
      const script = /^npm (?:run )?([\w:-]+)/.exec(command ?? "")?.[1] ?? "";
      assert.ok(script in scripts, `${command} is no script of package.json`);
    }
  });
});

/** `a.b` → value, for every value that is no map. */
function leaves(value: unknown, path = ""): Map<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map([[path, value]]);
  return new Map(
    Object.entries(value).flatMap(([key, part]) => [...leaves(part, path === "" ? key : `${path}.${key}`)]),
  );
}
