/** Dependencies point one way: index -> components -> rollout. */
module.exports = {
  forbidden: [
    {
      name: "rollout-knows-no-pulumi",
      comment:
        "rollout/ is plain TypeScript: unit tests, hooks, the dynamic provider and command lines all call it.",
      severity: "error",
      from: { path: "^rollout/" },
      to: { path: "(^|node_modules/)@pulumi/" },
    },
    {
      name: "rollout-imports-no-components",
      severity: "error",
      from: { path: "^rollout/" },
      to: { path: "^(components|sandbox|test|index\\.ts)" },
    },
    {
      name: "components-import-only-rollout",
      severity: "error",
      from: { path: "^components/" },
      to: { path: "^(sandbox|test|index\\.ts)" },
    },
    {
      name: "product-imports-no-sandbox",
      severity: "error",
      from: { path: "^(index\\.ts|rollout|components)" },
      to: { path: "^(sandbox|test)/" },
    },
    {
      name: "watcher-is-independent",
      comment: "The watcher judges the product, so it shares no code with it.",
      severity: "error",
      from: { path: "^test/watcher/" },
      to: { path: "^(rollout|components|index\\.ts)" },
    },
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "\\.sandbox/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".mjs", ".cjs", ".json"],
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
