// Loaded before the program (`nodeargs` in Pulumi.yaml), because an older Node cannot read index.ts at all. Plain JavaScript
// that any Node since 18.19 understands.

/** The first Node that runs TypeScript without a build (type stripping on by default). */
const NEEDED = [22, 18];
/** Exit code by which Pulumi knows that the program has said what is wrong. */
const SAID = 32;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(
    `PatchGuard needs Node ${NEEDED.join(".")} or newer, and \`node\` on PATH is ${process.versions.node} (${process.execPath}): ` +
      `put the project's own first with \`export PATH="$PWD/node_modules/.bin:$PATH"\` (after \`npm ci\`), or install Node 24, then run again.`,
  );
  process.exit(SAID);
}
