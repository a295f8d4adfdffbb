import assert from "node:assert/strict";
import { clusterSchemas } from "../../../rollout/config/cluster.ts";
import { PLACEHOLDERS } from "../../../rollout/config/checks-user-data.ts";
import { destroySchema } from "../../../rollout/config/destroy.ts";
import { poolSchemas } from "../../../rollout/config/pool.ts";
import { rolloutSchema } from "../../../rollout/config/rollout.ts";
import { textOf } from "./tables.ts";

interface Schema {
  def: {
    type: string;
    shape?: Record<string, Schema>;
    innerType?: Schema;
    in?: Schema;
    element?: Schema;
    options?: Schema[];
  };
}

/** Names of all settings below a schema. */
function settings(schema: Schema): string[] {
  const { shape, innerType, in: input, element, options, type } = schema.def;
  if (shape !== undefined) return Object.entries(shape).flatMap(([key, field]) => [key, ...settings(field)]);
  if (type === "lazy") return []; // whatever the user writes there
  return [innerType, input, element, ...(options ?? [])].flatMap((part) =>
    part === undefined ? [] : settings(part),
  );
}

describe("docs/configuration.md", () => {
  const docs = textOf("docs/configuration.md");
  for (const [section, schemas] of Object.entries({
    cluster: Object.values(clusterSchemas),
    pools: Object.values(poolSchemas),
    rollout: [rolloutSchema],
    destroy: [destroySchema],
  }))
    it(`names every setting of patchguard:${section}`, () => {
      const names = new Set(schemas.flatMap((schema) => settings(schema as unknown as Schema)));
      assert.ok(names.size > 0);
      const missing = [...names].filter(
        (name) => !new RegExp(`[\`.]${name}[\`.]|^ *${name}:`, "m").test(docs),
      );
      assert.deepEqual(missing, []);
    });

  it("names every placeholder of custom user data", () => {
    assert.deepEqual(
      PLACEHOLDERS.filter((name) => !docs.includes(`{{${name}}}`)),
      [],
    );
  });
});
