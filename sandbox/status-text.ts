/** The sandbox's status for people. */
import type { SandboxStatus } from "./sandbox.ts";

export function statusText(status: SandboxStatus): string {
  const lines = [`Sandbox in ${status.dir}: ${status.up ? "up" : "not up"}`];
  for (const component of status.components) {
    const mark = component.state === "ready" ? "✓" : "✗";
    lines.push(
      `  ${mark} ${component.name.padEnd(24)} ${component.state}${component.pid ? ` (pid ${component.pid})` : ""}`,
    );
  }
  if (status.apiUrl) lines.push(`API server ${status.apiUrl}, AWS endpoint ${status.machineRoomUrl}`);
  if (status.machineRoom && typeof status.machineRoom === "object") {
    for (const [title, items] of Object.entries(status.machineRoom)) {
      if (!Array.isArray(items)) continue;
      lines.push(`${title} (${items.length})`);
      for (const item of items) lines.push(`  ${itemText(item)}`);
    }
  }
  if (!status.up) lines.push("Start it with: npm run sandbox -- up");
  return lines.join("\n") + "\n";
}

/** One row: the values of an object, most telling first as the machine room orders them. */
function itemText(item: unknown): string {
  if (typeof item !== "object" || item === null) return String(item);
  return Object.entries(item)
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => (typeof value === "object" ? `${name}=${JSON.stringify(value)}` : String(value)))
    .join("  ");
}
