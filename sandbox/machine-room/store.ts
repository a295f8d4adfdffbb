/** What the machine room must remember over a restart: EKS's groups and updates, and which instances have joined. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export type GroupStatus = "CREATING" | "ACTIVE" | "UPDATING" | "DELETING" | "CREATE_FAILED";
export interface Taint {
  key: string;
  value?: string;
  effect: "NO_SCHEDULE" | "NO_EXECUTE" | "PREFER_NO_SCHEDULE";
}
export interface Sizes {
  minSize: number;
  maxSize: number;
  desiredSize: number;
}
export interface TemplateReference {
  id: string;
  name: string;
  version: string;
}
export interface HealthIssue {
  code: string;
  message: string;
  resourceIds: string[];
}

/** One EKS managed node group. Times are milliseconds of the epoch. */
export interface Group {
  name: string;
  uuid: string;
  status: GroupStatus;
  createdAt: number;
  modifiedAt: number;
  clientRequestToken?: string;
  subnets: string[];
  nodeRole: string;
  scaling: Sizes;
  instanceTypes: string[];
  /** True when the caller gave the types, so that the answer repeats them. */
  instanceTypesGiven: boolean;
  /** `CUSTOM` when the template names the image. */
  amiType: string;
  capacityType: string;
  diskSize?: number;
  labels: Record<string, string>;
  taints: Taint[];
  tags: Record<string, string>;
  launchTemplate?: TemplateReference;
  version: string;
  releaseVersion: string;
  /** The AMI that `releaseVersion` or the template stands for. */
  imageId: string;
  updateConfig: Record<string, unknown>;
  health: HealthIssue[];
  /** EKS's own copy of the template: its id, once made, and the version the group launches from. */
  ownTemplateId?: string;
  ownTemplateVersion?: string;
  deletion?: { startedAt: number; killed?: boolean };
  /** The update in hand, a key of `updates`. */
  updateId?: string;
}

/** One update of a group, as DescribeUpdate shows it, plus where it stands. */
export interface Update {
  id: string;
  group: string;
  type: "ConfigUpdate" | "VersionUpdate";
  status: "InProgress" | "Successful" | "Failed" | "Cancelled";
  params: { type: string; value: string }[];
  createdAt: number;
  errors: { errorCode: string; errorMessage: string; resourceIds: string[] }[];
  force?: boolean;
  /** A ConfigUpdate's new template version is made. */
  applied?: boolean;
  roll?: {
    step: "template" | "replace";
    /** What the group shall launch from. */
    launchTemplate?: TemplateReference;
    releaseVersion: string;
    version: string;
    imageId: string;
    previousTemplateVersion?: string;
    /** The instances being taken out, and since when. */
    taking?: { instance: string; since: number }[];
    lastProgressAt: number;
  };
}

interface Data {
  groups: Record<string, Group>;
  updates: Record<string, Update>;
  /** Instance id to Node name. A kubelet registers once: a deleted Node does not come back while its instance runs. */
  joined: Record<string, string>;
}

export class Store {
  readonly data: Data;
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
    this.data = { groups: {}, updates: {}, joined: {}, ...read(file) };
  }

  /** Writes all of it, whole or not at all. */
  save(): void {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(`${this.file}.new`, JSON.stringify(this.data, null, 1));
    renameSync(`${this.file}.new`, this.file);
  }
}

function read(file: string): Partial<Data> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Partial<Data>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Error(`${file} cannot be read: \`npm run sandbox -- down\` wipes it`, { cause: error });
  }
}
