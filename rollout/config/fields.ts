import { z } from "zod";
import { parseSelector } from "../selectors.ts";
import { unpinned } from "./image.ts";

/** Small types that the sections of the config are made of. Each refuses with a sentence that says what to write. */

const text = (what: string) => z.string({ error: () => `must be text: ${what}` });

const pattern = (regex: RegExp, what: string) =>
  text(what).regex(regex, { error: (issue) => `${JSON.stringify(issue.input)} is not ${what}` });

/** Whole seconds. */
export const seconds = (minimum: number, maximum = 7 * 24 * 3600) =>
  z
    .number({ error: () => "must be a number of seconds, without a unit" })
    .int({ error: () => "must be whole seconds" })
    .min(minimum, { error: () => `must be at least ${minimum} seconds` })
    .max(maximum, { error: () => `must be at most ${maximum} seconds` });

export const wholeNumber = (minimum: number, maximum: number, what: string) => {
  const error = () => `must be ${what}: a whole number from ${minimum} to ${maximum}`;
  return z.number({ error }).int({ error }).min(minimum, { error }).max(maximum, { error });
};

export const flag = () => z.boolean({ error: () => "must be true or false" });

export const nonEmpty = (what: string) => text(what).min(1, { error: () => `must not be empty: ${what}` });

/** An address without credentials: the config is no place for them. */
export const httpUrl = () =>
  text("an address such as https://pushgateway.example.com").superRefine((value, context) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const wrong = (message: string): void => context.addIssue({ code: "custom", message });
    if (url === undefined || !/^https?:$/.test(url.protocol))
      wrong("is no address such as https://pushgateway.example.com");
    else if (url.username !== "" || url.password !== "")
      wrong("must not hold a user name or a password: credentials never stand in the config");
    else if (url.search !== "" || url.hash !== "") wrong("must be an address without ? and #");
  });

/** A DNS label: it becomes part of label values, ConfigMap names and cloud names. */
export const dnsLabel = (maximum: number) =>
  pattern(
    new RegExp(`^[a-z0-9]([-a-z0-9]{0,${maximum - 2}}[a-z0-9])?$`),
    `a name of at most ${maximum} lower-case letters, digits and hyphens that begins and ends with a letter or digit`,
  );

const LABEL_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const LABEL_PREFIX = "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?";
const LABEL_KEY = new RegExp(`^(${LABEL_PREFIX}/)?${LABEL_NAME}$`);
const LABEL_VALUE = new RegExp(`^(${LABEL_NAME})?$`);

/** Syntax of a Kubernetes label or taint key (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/). */
export const labelKey = () =>
  pattern(LABEL_KEY, "a label key (`name` or `example.com/name`, the name at most 63 characters)");

export const labelValue = () =>
  z.string({ error: () => "must be text; put numbers and true/false in quotes" }).regex(LABEL_VALUE, {
    error: (issue) =>
      `${JSON.stringify(issue.input)} is not a label value (at most 63 letters, digits, "-", "_", ".")`,
  });

export const labelMap = () => z.record(labelKey(), labelValue(), { error: () => "must be a map of labels" });

/** Label selector in kubectl's syntax: `role!=critical`, `tier in (a,b)`, `!legacy`. */
export const labelSelector = () =>
  nonEmpty("a label selector such as role!=critical").superRefine((value, context) => {
    try {
      parseSelector(value);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    }
  });

/** Kubernetes version of a control plane or a group: `1.34`. */
export const kubernetesVersion = () =>
  pattern(/^1\.\d{1,3}$/, 'a Kubernetes version such as "1.34" (in quotes)');

export const awsRegion = () => pattern(/^[a-z]{2,}(-[a-z]+)+-\d$/, "an AWS region such as us-east-1");

export const roleArn = () => pattern(/^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/, "the ARN of an IAM role");

export const policyArn = () =>
  pattern(/^arn:aws[a-z-]*:iam::(\d{12}|aws):policy\/.+$/, "the ARN of an IAM policy");

export const targetGroupArn = () =>
  pattern(/^arn:aws[a-z-]*:elasticloadbalancing:[^:]+:\d{12}:targetgroup\/.+$/, "the ARN of a target group");

export const subnetId = () => pattern(/^subnet-[0-9a-f]{8,17}$/, "a subnet id (subnet-…)");

export const securityGroupId = () => pattern(/^sg-[0-9a-f]{8,17}$/, "a security group id (sg-…)");

export const cidr = () =>
  pattern(/^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$|^[0-9a-f:]+\/\d{1,3}$/, "an address range such as 172.20.0.0/16");

/** Cloud tags of the user's. */
export const tagMap = () =>
  z.record(
    z.string().min(1).max(128),
    z
      .string({ error: () => "must be text; put numbers and true/false in quotes" })
      .max(256, { error: () => "must be at most 256 characters" }),
    { error: () => "must be a map of tags" },
  );

/** Text that pins something, refused where it follows whatever is newest. */
export const pinned = (regex: RegExp, what: string) =>
  z.string({ error: () => `must be text: ${what}` }).superRefine((value, context) => {
    const reason = unpinned(value);
    if (reason !== undefined) context.addIssue({ code: "custom", message: reason });
    else if (!regex.test(value))
      context.addIssue({ code: "custom", message: `${JSON.stringify(value)} is not ${what}` });
  });
