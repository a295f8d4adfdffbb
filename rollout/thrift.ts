import v8 from "node:v8";

/**
 * For the process that runs a handover beside Pulumi's engine, often on a small CI machine: garbage is collected before the heap grows,
 * not after. It costs some CPU time, which such a process has plenty of while it waits. Measured in docs/benchmarks.md.
 */
export function keepHeapSmall(): void {
  v8.setFlagsFromString("--optimize-for-size");
}
