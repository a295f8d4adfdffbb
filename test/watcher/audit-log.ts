/** Reads the API server's audit log (JSON lines, level Metadata) as it grows. */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { BlindSeen, RequestSeen } from "./observation.ts";
import { actorOf } from "./observation.ts";

interface AuditEvent {
  stage?: string;
  verb?: string;
  requestURI?: string;
  userAgent?: string;
  user?: { username?: string };
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number };
  requestObject?: unknown;
  requestReceivedTimestamp?: string;
}

const WRITES = new Set(["create", "update", "patch", "delete", "deletecollection"]);

/** One line as a request, or undefined when it is no finished write, or only a rehearsal (dry run). Throws on what is not JSON. */
export function parseAuditLine(line: string): RequestSeen | undefined {
  const event = JSON.parse(line) as AuditEvent;
  const { verb = "", objectRef } = event;
  if (event.stage !== "ResponseComplete" || !WRITES.has(verb) || objectRef?.resource === undefined)
    return undefined;
  const body = event.requestObject === undefined ? undefined : JSON.stringify(event.requestObject);
  const dryRun = /[?&]dryRun=All/.test(event.requestURI ?? "") || /"dryRun":\["All"\]/.test(body ?? "");
  if (dryRun) return undefined;
  return {
    type: "request",
    at: Date.parse(event.requestReceivedTimestamp ?? ""),
    verb,
    resource: objectRef.resource,
    subresource: objectRef.subresource ?? "",
    namespace: objectRef.namespace ?? "",
    name: objectRef.name ?? "",
    actor: actorOf(event.userAgent ?? "", event.user?.username ?? ""),
    code: event.responseStatus?.code ?? 0,
    ...(body === undefined ? {} : { body }),
  };
}

export class AuditLog {
  private readonly file: string;
  private readonly descriptor: number;
  private readonly inode: number;
  private offset: number;
  private rest = Buffer.alloc(0);

  /** Starts at the log's present end. Throws when there is no such file. */
  constructor(file: string) {
    this.file = file;
    this.descriptor = openSync(file, "r");
    const { size, ino } = fstatSync(this.descriptor);
    this.offset = size;
    this.inode = ino;
  }

  /** What was written since the last call. */
  read(now: number): (RequestSeen | BlindSeen)[] {
    const found: (RequestSeen | BlindSeen)[] = [];
    const chunk = Buffer.alloc(1 << 18);
    for (;;) {
      const size = readSync(this.descriptor, chunk, 0, chunk.length, this.offset);
      if (size === 0) break;
      this.offset += size;
      this.rest = Buffer.concat([this.rest, chunk.subarray(0, size)]);
      const end = this.rest.lastIndexOf(10);
      if (end < 0) continue;
      for (const line of this.rest.subarray(0, end).toString("utf8").split("\n")) {
        if (line !== "") found.push(...this.parse(line, now));
      }
      this.rest = this.rest.subarray(end + 1);
    }
    const { size, ino } = statSync(this.file);
    if (ino !== this.inode || size < this.offset) {
      found.push({ type: "blind", at: now, what: `the audit log ${this.file} was rotated or cut` });
    }
    return found;
  }

  private parse(line: string, now: number): (RequestSeen | BlindSeen)[] {
    try {
      const request = parseAuditLine(line);
      return request === undefined ? [] : [request];
    } catch (error) {
      return [{ type: "blind", at: now, what: `unreadable line in the audit log: ${String(error)}` }];
    }
  }

  close(): void {
    closeSync(this.descriptor);
  }
}
